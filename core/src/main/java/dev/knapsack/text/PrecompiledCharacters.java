package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The table by which SentencePiece normalises: strings of a few bytes and what becomes of each.
 *
 * <p>A trie as a double array (Yata et al., "A compact static double-array keeping character
 * codes", 2007), in the units of the library Darts-clone, and the replacements, each ended by a
 * zero byte.
 */
record PrecompiledCharacters(int[] units, byte[] replacements) implements TextNormalizer {
  private static final Pattern GRAPHEME = Pattern.compile("\\X");

  /** Longer clusters are taken a character at a time. */
  private static final int MOST_BYTES = 5;

  static TextNormalizer read(Component component) {
    String field = "precompiled_charsmap";
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(component.text(field));
    } catch (IllegalArgumentException e) {
      throw new ModelFileException(
          component.file(), component.place() + "." + field, "is not in Base64", e);
    }
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int size = bytes.length < 4 ? -1 : in.getInt();
    if (size < 4 || size % 4 != 0 || size > in.remaining()) {
      throw component.wrong(
          field, "has no trie of a length that fits in its " + bytes.length + " bytes");
    }
    int[] units = new int[size / 4];
    in.asIntBuffer().get(units);
    return new PrecompiledCharacters(units, Arrays.copyOfRange(bytes, 4 + size, bytes.length));
  }

  @Override
  public Aligned apply(Aligned aligned) {
    String text = aligned.text();
    Aligned.Builder out = aligned.builder();
    Matcher graphemes = GRAPHEME.matcher(text);
    while (graphemes.find()) {
      int from = graphemes.start();
      int to = graphemes.end();
      if (to - from <= MOST_BYTES && put(text, from, to, MOST_BYTES, out)) {
        continue;
      }
      for (int i = from; i < to; ) {
        int next = i + Character.charCount(text.codePointAt(i));
        if (!put(text, i, next, Integer.MAX_VALUE, out)) {
          out.copy(i, next);
        }
        i = next;
      }
    }
    return out.build();
  }

  @Override
  public int shrinks() {
    return 0;
  }

  private boolean put(String text, int from, int to, int most, Aligned.Builder out) {
    byte[] bytes = text.substring(from, to).getBytes(StandardCharsets.UTF_8);
    String replacement = bytes.length > most ? null : find(bytes);
    if (replacement == null) {
      return false;
    }
    replacement.codePoints().forEach(c -> out.add(c, from, to));
    return true;
  }

  /** The replacement of the shortest beginning of a string that is in the table. */
  private @Nullable String find(byte[] key) {
    int at = offset(units[0]);
    for (byte b : key) {
      if (b == 0) {
        break;
      }
      at ^= b & 0xFF;
      if (at < 0 || at >= units.length || (units[at] & 0x800000FF) != (b & 0xFF)) {
        return null;
      }
      int unit = units[at];
      at ^= offset(unit);
      if ((unit >> 8 & 1) == 1) {
        return at >= 0 && at < units.length ? replacement(units[at] & 0x7FFFFFFF) : null;
      }
    }
    return null;
  }

  private String replacement(int from) {
    int to = from;
    while (to < replacements.length && replacements[to] != 0) {
      to++;
    }
    return from >= replacements.length
        ? ""
        : new String(replacements, from, to - from, StandardCharsets.UTF_8);
  }

  private static int offset(int unit) {
    return (unit >>> 10) << ((unit & 1 << 9) >>> 6);
  }
}
