package dev.knapsack.text;

import java.util.Arrays;

/**
 * Decodes UTF-8 as it comes; what is none becomes U+FFFD, one for each part that could have begun a
 * character (the Unicode Standard, 3.9, table 3-8).
 */
final class LossyUtf8 {
  private final byte[] pending = new byte[4];
  private int count;

  /** Decodes bytes, and leaves the beginning of a character for the next call. */
  void add(byte[] bytes, StringBuilder out) {
    for (byte b : bytes) {
      add(b, out);
    }
  }

  private void add(byte b, StringBuilder out) {
    if (count > 0 && !continues(b & 0xFF)) {
      out.append('\uFFFD');
      count = 0;
    }
    if (count == 0 && b >= 0) {
      out.append((char) b);
      return;
    }
    if (count == 0 && length(b & 0xFF) == 0) {
      out.append('\uFFFD');
      return;
    }
    pending[count++] = b;
    if (count == length(pending[0] & 0xFF)) {
      out.append(
          new String(Arrays.copyOf(pending, count), java.nio.charset.StandardCharsets.UTF_8));
      count = 0;
    }
  }

  /** Ends the text: an unfinished character becomes U+FFFD. */
  void finish(StringBuilder out) {
    if (count > 0) {
      out.append('\uFFFD');
    }
    count = 0;
  }

  private static int length(int lead) {
    return lead >= 0xC2 && lead < 0xE0
        ? 2
        : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
  }

  private boolean continues(int b) {
    int low = 0x80;
    int high = 0xBF;
    if (count == 1) {
      switch (pending[0] & 0xFF) {
        case 0xE0 -> low = 0xA0;
        case 0xED -> high = 0x9F;
        case 0xF0 -> low = 0x90;
        case 0xF4 -> high = 0x8F;
        default -> {}
      }
    }
    return b >= low && b <= high;
  }
}
