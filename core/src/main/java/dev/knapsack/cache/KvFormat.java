package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * The way in which a KV cache stores its numbers: keys and values each in a format of their own,
 * the last tokens perhaps as they were computed, all of them perhaps rotated or reordered, or the
 * keys sketched.
 *
 * @param keys one of {@link Formats#cache()}
 * @param values one of {@link Formats#cache()}
 * @param recent how many of the last tokens stay in {@link KvLayout#FULL}; always 0 if nothing is
 *     gained by it
 * @param transform what is done to heads first, to keys only if they are not sketched; always
 *     nothing where no numbers share a scale
 * @param sketch how many directions keys have for each of their channels ({@link
 *     dev.knapsack.tensor.SketchMatrix}), 0 for keys as they are; only {@link Formats#SIGNS} are
 *     kept of directions
 */
public record KvFormat(Format keys, Format values, int recent, KvTransform transform, int sketch) {
  /** Half precision. */
  public static final KvFormat F16 = of(Formats.F16, Formats.F16);

  /** The name of sketched keys. */
  private static final String SKETCHED = "QJL";

  /** Directions for a channel, as published: 256 for heads of 128. */
  private static final int USUAL_SKETCH = 2;

  private static final int MOST_SKETCH = 8;

  public KvFormat {
    check(keys);
    check(values);
    if (recent < 0) {
      throw new IllegalArgumentException(
          "%,d recent tokens cannot stay in full precision; give 0 or more".formatted(recent));
    }
    if (sketch < 0 || sketch > MOST_SKETCH || (sketch > 0 && !keys.equals(Formats.SIGNS))) {
      throw new IllegalArgumentException(
          "Keys in %s cannot have %d directions for each channel; %s can, 1 to %d"
              .formatted(keys.name(), sketch, Formats.SIGNS.name(), MOST_SKETCH));
    }
    if (!coarser(keys) && !coarser(values)) {
      recent = 0;
    }
    if ((keys.blockValues() == 1 || sketch > 0) && values.blockValues() == 1) {
      transform = KvTransform.NONE;
    }
  }

  /** Keys as they are. */
  public KvFormat(Format keys, Format values, int recent, KvTransform transform) {
    this(keys, values, recent, transform, 0);
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
    return new KvFormat(keys, values, 0, KvTransform.NONE);
  }

  /**
   * Keys and values in what {@link #keyName} and the values' format call themselves, and no more to
   * it.
   *
   * @throws dev.knapsack.error.UnsupportedFormatException if there is no such format
   * @throws IllegalArgumentException if it is not for caches
   */
  public static KvFormat of(String keys, String values) {
    String[] parts = keys.strip().split(":", 2);
    if (!parts[0].equalsIgnoreCase(SKETCHED)) {
      return of(Formats.byName(keys), Formats.byName(values));
    }
    int sketch = parts.length == 1 ? USUAL_SKETCH : number(keys, parts[1]);
    return new KvFormat(Formats.SIGNS, Formats.byName(values), 0, KvTransform.NONE, sketch);
  }

  private static int number(String keys, String digits) {
    if (!digits.matches("[1-" + MOST_SKETCH + "]")) {
      throw new IllegalArgumentException(
          "'%s' names no form of keys; write k=qjl,v=q8_0, or k=qjl:4,v=q8_0 for 4 bits a channel (1 to %d)"
              .formatted(keys, MOST_SKETCH));
    }
    return Integer.parseInt(digits);
  }

  /**
   * Reads formats as people write them: {@code q8_0}, or {@code k=q8_0,v=q4_0}, in any order;
   * {@code k=qjl} for sketched keys, {@code k=qjl:4} for those of 4 bits for each channel.
   *
   * @throws dev.knapsack.error.UnsupportedFormatException if there is no such format
   * @throws IllegalArgumentException if it is not for caches, or it is written in another way
   */
  public static KvFormat parse(String text) {
    if (!text.contains("=")) {
      if (text.strip().toUpperCase(Locale.ROOT).startsWith(SKETCHED)) {
        throw new IllegalArgumentException(
            "'%s' is for keys alone; name a format of the values too, as in k=%s,v=q8_0"
                .formatted(text, text.strip()));
      }
      Format both = Formats.byName(text.strip());
      return of(both, both);
    }
    String keys = "";
    String values = "";
    for (String part : text.toLowerCase(Locale.ROOT).split(",", -1)) {
      String[] sides = part.strip().split("=", 2);
      if (sides[0].equals("k") && sides.length == 2 && keys.isEmpty()) {
        keys = sides[1];
      } else if (sides[0].equals("v") && sides.length == 2 && values.isEmpty()) {
        values = sides[1];
      } else {
        throw written(text);
      }
    }
    if (keys.isEmpty() || values.isEmpty()) {
      throw written(text);
    }
    return of(keys, values);
  }

  private static IllegalArgumentException written(String text) {
    return new IllegalArgumentException(
        "'%s' names no formats of keys and values; write q8_0, or k=q8_0,v=q4_0".formatted(text));
  }

  /** The format of keys, by a name that {@link #of(String, String)} knows. */
  public String keyName() {
    return switch (sketch) {
      case 0 -> keys.name();
      case USUAL_SKETCH -> SKETCHED;
      default -> SKETCHED + ":" + sketch;
    };
  }

  /** The same, with this many recent tokens in full precision. */
  public KvFormat withRecent(int tokens) {
    return new KvFormat(keys, values, tokens, transform, sketch);
  }

  /** The same, with this done to heads. */
  public KvFormat withTransform(KvTransform other) {
    return new KvFormat(keys, values, recent, other, sketch);
  }

  /**
   * Numbers in a cached key.
   *
   * @param channels of a key
   */
  public int keySize(int channels) {
    return channels * Math.max(1, sketch);
  }

  /**
   * Says whether what a layer remembers can be stored so: heads if they {@linkplain #fits(int, int)
   * fit}; keys that hold their values, besides, in one format alone and with nothing done to them.
   */
  public boolean fits(LayerLayout layer) {
    return switch (layer) {
      case LayerLayout.Heads heads -> fits(heads.keySize(), heads.valueSize());
      case LayerLayout.Latent latent ->
          keys.equals(values)
              && sketch == 0
              && transform == KvTransform.NONE
              && fits(latent.keySize(), latent.valueSize());
      case LayerLayout.Both both -> fits(both.heads());
      case LayerLayout.Recurrent recurrent -> true;
      case LayerLayout.None none -> true;
    };
  }

  /**
   * Says whether heads of these sizes can be stored so: they must be whole blocks.
   *
   * @param keySize channels of a key
   * @param valueSize channels of a value
   */
  public boolean fits(int keySize, int valueSize) {
    return KvLayout.fits(keys, keySize(keySize)) && KvLayout.fits(values, valueSize);
  }

  /** For people: {@code k=Q8_0,v=Q4_0, rotated, last 64 in F16}. */
  public String describe() {
    String formats =
        sketch == 0 && keys.equals(values)
            ? keys.name()
            : "k=%s,v=%s".formatted(keyName(), values.name());
    return formats
        + (transform == KvTransform.NONE ? "" : ", " + transform.participle())
        + (recent > 0 ? ", last %d in %s".formatted(recent, KvLayout.FULL.name()) : "");
  }
}
