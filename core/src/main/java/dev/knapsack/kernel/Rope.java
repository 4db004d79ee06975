package dev.knapsack.kernel;

/**
 * Rotary position embedding: which numbers of a head form pairs, and by what angle a pair turns at
 * each position.
 *
 * @param pairs adjacent ({@code x[2i], x[2i+1]}) or half-split ({@code x[i], x[i + dimensions/2]})
 * @param dimensions numbers of a head that are rotated
 * @param frequencies angle per position of each of the {@code dimensions / 2} pairs, all scaling
 *     (linear, YaRN, llama3, longrope factors) applied
 * @param magnitude factor on the rotated numbers (YaRN's and longrope's attention factor), 1 for
 *     none
 */
public record Rope(Pairs pairs, int dimensions, float[] frequencies, float magnitude) {
  /** How the numbers of a head are paired. */
  public enum Pairs {
    ADJACENT,
    HALF_SPLIT
  }
}
