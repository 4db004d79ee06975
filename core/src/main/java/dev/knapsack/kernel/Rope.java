package dev.knapsack.kernel;

/**
 * Rotary position embedding (Su et al., RoFormer, arXiv 2104.09864): which numbers of a head form
 * pairs, and by what angle a pair turns at each position.
 *
 * <p>Pair {@code (a, b)} at position {@code p}, with {@code θ = p · frequency}, becomes {@code
 * magnitude · (a cos θ − b sin θ, a sin θ + b cos θ)}.
 *
 * @param pairs adjacent ({@code x[2i], x[2i+1]}) or half-split ({@code x[i], x[i + dimensions/2]})
 * @param dimensions numbers of a head that are rotated, even
 * @param frequencies angle in radians per position of each of the {@code dimensions / 2} pairs, all
 *     scaling (linear, YaRN, llama3, longrope factors) applied
 * @param magnitude factor on the rotated numbers (YaRN's and longrope's attention factor), 1 for
 *     none
 */
public record Rope(Pairs pairs, int dimensions, double[] frequencies, float magnitude) {
  /** The pairing of the numbers of a head. */
  public enum Pairs {
    ADJACENT,
    HALF_SPLIT
  }

  public Rope {
    if (dimensions <= 0 || dimensions % 2 != 0) {
      throw new IllegalArgumentException(
          "RoPE rotates pairs: the number of dimensions is even and positive, not " + dimensions);
    }
    if (frequencies.length != dimensions / 2) {
      throw new IllegalArgumentException(
          "RoPE over %d dimensions needs %d frequencies; got %d"
              .formatted(dimensions, dimensions / 2, frequencies.length));
    }
  }

  /** Unscaled: pair {@code i} turns by {@code base^(−2i / dimensions)} per position. */
  public static Rope plain(Pairs pairs, int dimensions, double base) {
    double[] frequencies = new double[dimensions / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = Math.pow(base, -2.0 * i / dimensions);
    }
    return new Rope(pairs, dimensions, frequencies, 1);
  }

  /**
   * Position interpolation (Chen et al., arXiv 2306.15595): all angles divided by {@code factor}.
   */
  public static Rope linear(Pairs pairs, int dimensions, double base, double factor) {
    Rope plain = plain(pairs, dimensions, base);
    double[] frequencies = plain.frequencies.clone();
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] /= factor;
    }
    return new Rope(pairs, dimensions, frequencies, 1);
  }

  /**
   * YaRN (Peng et al., arXiv 2309.00071, section 3.2): pairs that turn often within the original
   * context keep their angle, those that turn less than once are interpolated, with a linear ramp
   * between.
   *
   * @param factor context extension
   * @param originalContext tokens the model was first trained for
   * @param betaFast rotations within the original context from which a pair keeps its angle,
   *     usually 32
   * @param betaSlow rotations below which a pair is interpolated, usually 1
   * @param truncate whether the bounds of the ramp are whole pairs, as usual
   * @param magnitude factor on the rotated numbers; usually {@link #yarnMagnitude}
   */
  public static Rope yarn(
      Pairs pairs,
      int dimensions,
      double base,
      double factor,
      int originalContext,
      double betaFast,
      double betaSlow,
      boolean truncate,
      float magnitude) {
    double first = pairTurning(betaFast, dimensions, base, originalContext);
    double last = pairTurning(betaSlow, dimensions, base, originalContext);
    double low = Math.max(0, truncate ? Math.floor(first) : first);
    double high = Math.min(dimensions - 1, truncate ? Math.ceil(last) : last);
    double[] frequencies = plain(pairs, dimensions, base).frequencies;
    for (int i = 0; i < frequencies.length; i++) {
      double keep = 1 - Math.clamp((i - low) / Math.max(0.001, high - low), 0.0, 1.0);
      frequencies[i] = frequencies[i] / factor * (1 - keep) + frequencies[i] * keep;
    }
    return new Rope(pairs, dimensions, frequencies, magnitude);
  }

  /**
   * YaRN's usual attention factor, {@code 1 + 0.1 ln(factor)} (section 3.4, its square root of t).
   */
  public static float yarnMagnitude(double factor) {
    return (float) (factor <= 1 ? 1 : 1 + 0.1 * Math.log(factor));
  }

  /**
   * Llama 3's scaling (Llama 3.1's published configuration, {@code rope_type: llama3}): wave
   * lengths below {@code originalContext / highFactor} are kept, those above {@code originalContext
   * / lowFactor} divided by {@code factor}, with a linear blend between.
   *
   * <p>GGUF files hold the result as divisors instead: see {@link #dividedBy}.
   */
  public static Rope llama3(
      Pairs pairs,
      int dimensions,
      double base,
      double factor,
      double lowFactor,
      double highFactor,
      int originalContext) {
    double[] frequencies = plain(pairs, dimensions, base).frequencies;
    for (int i = 0; i < frequencies.length; i++) {
      double turns = originalContext * frequencies[i] / (2 * Math.PI);
      double keep = Math.clamp((turns - lowFactor) / (highFactor - lowFactor), 0.0, 1.0);
      frequencies[i] = (1 - keep) * frequencies[i] / factor + keep * frequencies[i];
    }
    return new Rope(pairs, dimensions, frequencies, 1);
  }

  /**
   * LongRoPE's usual attention factor (Ding et al., arXiv 2402.13753, as Phi-3 uses it): {@code √(1
   * + ln(context / originalContext) / ln(originalContext))}.
   */
  public static float longropeMagnitude(int context, int originalContext) {
    return context <= originalContext
        ? 1
        : (float)
            Math.sqrt(1 + Math.log((double) context / originalContext) / Math.log(originalContext));
  }

  /**
   * This embedding with each pair's angle divided by its own factor: Llama 3's {@code rope_freqs}
   * tensor, longrope's {@code rope_factors_long} and {@code rope_factors_short}.
   */
  public Rope dividedBy(float[] factors) {
    if (factors.length != frequencies.length) {
      throw new IllegalArgumentException(
          "RoPE over %d dimensions needs %d factors; got %d"
              .formatted(dimensions, frequencies.length, factors.length));
    }
    double[] divided = new double[frequencies.length];
    for (int i = 0; i < divided.length; i++) {
      divided[i] = frequencies[i] / factors[i];
    }
    return new Rope(pairs, dimensions, divided, magnitude);
  }

  /** The number of a head that is rotated together with this one; itself if it is not rotated. */
  public int partner(int channel) {
    if (channel >= dimensions) {
      return channel;
    }
    return switch (pairs) {
      case ADJACENT -> channel ^ 1;
      case HALF_SPLIT -> (channel + dimensions / 2) % dimensions;
    };
  }

  /**
   * Turns the pairs of a head back, in place: {@code (a, b)} becomes {@code (c a + s b, c b − s
   * a)}.
   *
   * @param at where the head begins in {@code x}
   * @param cosines {@code c} of each pair
   * @param sines {@code s} of each pair
   */
  public void turnBack(float[] x, int at, double[] cosines, double[] sines) {
    for (int i = 0; i < frequencies.length; i++) {
      int first = at + (pairs == Pairs.ADJACENT ? 2 * i : i);
      int second = first + (pairs == Pairs.ADJACENT ? 1 : dimensions / 2);
      double a = x[first];
      double b = x[second];
      x[first] = (float) (cosines[i] * a + sines[i] * b);
      x[second] = (float) (cosines[i] * b - sines[i] * a);
    }
  }

  /** This embedding with another factor on the rotated numbers. */
  public Rope withMagnitude(float factor) {
    return new Rope(pairs, dimensions, frequencies, factor);
  }

  /** The (fractional) index of the pair that turns this often within the original context. */
  private static double pairTurning(double turns, int dimensions, double base, int context) {
    return dimensions * Math.log(context / (turns * 2 * Math.PI)) / (2 * Math.log(base));
  }
}
