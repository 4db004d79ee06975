package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * How a KV cache stores its numbers: keys and values each in a format of their own, the last tokens
 * perhaps as they were computed, all of them perhaps rotated.
 *
 * @param keys one of {@link Formats#cache()}
 * @param values one of {@link Formats#cache()}
 * @param recent how many of the last tokens stay in {@link KvLayout#FULL}; always 0 if nothing is
 *     gained by it
 * @param rotated whether heads are rotated; always false where no numbers share a scale
 */
public record KvFormat(Format keys, Format values, int recent, boolean rotated) {
  /** Half precision. */
  public static final KvFormat F16 = of(Formats.F16, Formats.F16);

  public KvFormat {
    check(keys);
    check(values);
    if (recent < 0) {
      throw new IllegalArgumentException(
          "%,d recent tokens cannot stay in full precision; give 0 or more".formatted(recent));
    }
    if (!coarser(keys) && !coarser(values)) {
      recent = 0;
    }
    rotated &= keys.blockValues() > 1 || values.blockValues() > 1;
  }

  private static void check(Format format) {
    if (!Formats.cache().contains(format)) {
      throw new IllegalArgumentException(
          "A KV cache cannot be in %s, only in %s"
              .formatted(
                  format.name(),
                  Formats.cache().stream().map(Format::name).collect(Collectors.joining(", "))));
    }
  }

  private static boolean coarser(Format format) {
    int several = 64;
    return format.bytes(several) < KvLayout.FULL.bytes(several);
  }

  /** Keys and values in these formats, and no more to it. */
  public static KvFormat of(Format keys, Format values) {
    return new KvFormat(keys, values, 0, false);
  }

  /**
   * Reads formats as people write them: {@code q8_0}, or {@code k=q8_0,v=q4_0}, in any order.
   *
   * @throws dev.knapsack.tensor.UnsupportedFormatException if there is no such format
   * @throws IllegalArgumentException if it is not for caches, or it is written in another way
   */
  public static KvFormat parse(String text) {
    if (!text.contains("=")) {
      Format both = Formats.byName(text.strip());
      return of(both, both);
    }
    Format keys = null;
    Format values = null;
    for (String part : text.toLowerCase(Locale.ROOT).split(",", -1)) {
      String[] sides = part.strip().split("=", 2);
      if (sides[0].equals("k") && sides.length == 2 && keys == null) {
        keys = Formats.byName(sides[1]);
      } else if (sides[0].equals("v") && sides.length == 2 && values == null) {
        values = Formats.byName(sides[1]);
      } else {
        throw written(text);
      }
    }
    if (keys == null || values == null) {
      throw written(text);
    }
    return of(keys, values);
  }

  private static IllegalArgumentException written(String text) {
    return new IllegalArgumentException(
        "'%s' names no formats of keys and values; write q8_0, or k=q8_0,v=q4_0".formatted(text));
  }

  /** The same, with this many recent tokens in full precision. */
  public KvFormat withRecent(int tokens) {
    return new KvFormat(keys, values, tokens, rotated);
  }

  /** The same, with heads rotated, or not. */
  public KvFormat withRotation(boolean value) {
    return new KvFormat(keys, values, recent, value);
  }

  /** For people: {@code k=Q8_0,v=Q4_0, rotated, last 64 in F16}. */
  public String describe() {
    String formats =
        keys.equals(values) ? keys.name() : "k=%s,v=%s".formatted(keys.name(), values.name());
    return formats
        + (rotated ? ", rotated" : "")
        + (recent > 0 ? ", last %d in %s".formatted(recent, KvLayout.FULL.name()) : "");
  }
}
