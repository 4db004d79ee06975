package dev.knapsack.model.arch;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Rope.Pairs;

/** The rotary embedding that a header describes, all scaling applied. */
final class Ropes {
  private static final String DIMENSIONS = "rope.dimension_count";
  private static final int MOST_DIMENSIONS = 65_536;

  private Ropes() {}

  /**
   * The embedding of the layers that have the header's own base and scaling.
   *
   * @param pairs the family's pairing; a file whose tensors are not permuted the family's way says
   *     so in {@link ModelFile#ROPE_PAIRS}
   * @param keySize numbers in a head, all of which are rotated unless the header says otherwise
   * @param context tokens a sequence may hold: it chooses between short and long factors
   */
  static Rope read(Header header, Pairs pairs, int keySize, int context) {
    return header.shared("scaled " + keySize, () -> readOnce(header, pairs, keySize, context));
  }

  private static Rope readOnce(Header header, Pairs pairs, int keySize, int context) {
    int dimensions = dimensions(header, DIMENSIONS, keySize);
    Rope rope = scaled(header, pairs(header.file(), pairs), keySize, dimensions);
    if (header.hasTensor("rope_freqs.weight")) {
      rope = rope.dividedBy(header.factors("rope_freqs.weight", dimensions / 2));
    }
    if (header.hasTensor("rope_factors_long.weight")
        || header.hasTensor("rope_factors_short.weight")) {
      String length = context > originalContext(header) ? "long" : "short";
      rope = rope.dividedBy(header.factors("rope_factors_" + length + ".weight", dimensions / 2));
    }
    return rope.withMagnitude(rope.magnitude() * header.positive("rope.scaling.attn_factor", 1));
  }

  /** The embedding without scaling, at this base. */
  static Rope plain(Header header, Pairs pairs, int keySize, float base) {
    return plain(header, pairs, DIMENSIONS, keySize, base);
  }

  /**
   * The same.
   *
   * @param key of the numbers that are rotated
   */
  static Rope plain(Header header, Pairs pairs, String key, int keySize, float base) {
    return header.shared(
        "plain %s %d %s".formatted(key, keySize, base),
        () -> Rope.plain(pairs(header.file(), pairs), dimensions(header, key, keySize), base));
  }

  /** The embedding without scaling, at the header's own base. */
  static Rope unscaled(Header header, Pairs pairs, int keySize) {
    return plain(header, pairs, keySize, base(header, keySize));
  }

  /** The header's base; with alpha, for longer texts, so much larger. */
  private static float base(Header header, int keySize) {
    float base = header.positive("rope.freq_base", 10_000);
    if (base <= 1) {
      throw header.wrong("rope.freq_base", "must be above 1, and is " + base);
    }
    float alpha = header.optional("rope.scaling.alpha", 0);
    double scaled = alpha == 0 ? base : base * Math.pow(alpha, keySize / (keySize - 2.0));
    if (!(scaled > 1 && (float) scaled < Float.POSITIVE_INFINITY)) {
      throw header.wrong(
          "rope.scaling.alpha",
          "makes a base of %s, with heads of %d numbers; it must be above 1"
              .formatted(scaled, keySize));
    }
    return (float) scaled;
  }

  private static Rope scaled(Header header, Pairs pairs, int keySize, int dimensions) {
    float base = base(header, keySize);
    String named = header.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
    float given = header.optional(named, 0);
    float factor = given == 0 ? 1 : given;
    // A factor without a type is one of positions; longrope's own are in tensors.
    String type = header.text("rope.scaling.type", "linear");
    return switch (type) {
      case "none" -> Rope.plain(pairs, dimensions, base);
      case "linear", "longrope" -> Rope.linear(pairs, dimensions, base, factor);
      case "yarn" ->
          Rope.yarn(
              pairs,
              dimensions,
              base,
              factor,
              originalContext(header),
              header.positive("rope.scaling.yarn_beta_fast", 32),
              header.positive("rope.scaling.yarn_beta_slow", 1),
              header.flag("rope.scaling.yarn_truncate", true),
              yarnMagnitude(header, factor));
      case "llama3" ->
          Rope.llama3(
              pairs,
              dimensions,
              base,
              factor,
              header.positive("rope.scaling.low_freq_factor", 1),
              header.positive("rope.scaling.high_freq_factor", 4),
              originalContext(header));
      default ->
          throw header.wrong(
              "rope.scaling.type",
              "'" + type + "' is not known; supported are none, linear, yarn, longrope and llama3");
    };
  }

  /**
   * A log multiplier moves the attention factor out of the rotation, by DeepSeek's definition of
   * mscale (with mscale itself 1, as GGUF does not hold it).
   */
  private static float yarnMagnitude(Header header, float factor) {
    float usual = Rope.yarnMagnitude(factor);
    float multiplier = header.optional("rope.scaling.yarn_log_multiplier", 0);
    return multiplier == 0 ? usual : usual / (1 + multiplier * (usual - 1));
  }

  private static int originalContext(Header header) {
    int original = header.tokens("rope.scaling.original_context_length", 0);
    return original == 0 ? header.context() : original;
  }

  private static int dimensions(Header header, String key, int keySize) {
    int dimensions = header.columns(key, keySize);
    if (dimensions > keySize || dimensions % 2 != 0) {
      throw header.wrong(
          key,
          "must be even and at most the head size %d, and is %d".formatted(keySize, dimensions));
    }
    if (dimensions > MOST_DIMENSIONS) {
      throw header.wrong(key, "%,d numbers to rotate in a head are too many".formatted(dimensions));
    }
    return dimensions;
  }

  /** The pairs that a file makes of the rows of queries and keys. */
  static Pairs pairs(ModelFile file, Pairs family) {
    String named = file.metadata().findString(ModelFile.ROPE_PAIRS).orElse("");
    return switch (named) {
      case "" -> family;
      case "half" -> Pairs.HALF_SPLIT;
      case "adjacent" -> Pairs.ADJACENT;
      default ->
          throw new ModelFileException(
              file.path(),
              ModelFile.ROPE_PAIRS,
              "must be 'half' or 'adjacent', and is '" + named + "'");
    };
  }
}
