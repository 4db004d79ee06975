package dev.knapsack.text;

import java.util.Locale;

/** Tokens that stand for one byte, written {@code <0x0A>}. */
final class ByteTokens {
  private ByteTokens() {}

  static String name(int b) {
    return String.format(Locale.ROOT, "<0x%02X>", b);
  }

  /** The byte that a token text names, or -1. */
  static int parse(String text) {
    if (text.length() != 6 || !text.startsWith("<0x") || !text.endsWith(">")) {
      return -1;
    }
    int high = Character.digit(text.charAt(3), 16);
    int low = Character.digit(text.charAt(4), 16);
    return high < 0 || low < 0 ? -1 : (high << 4) | low;
  }
}
