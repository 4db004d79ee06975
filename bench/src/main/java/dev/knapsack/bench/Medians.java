package dev.knapsack.bench;

import java.util.Arrays;

/** The middle of what was measured. */
final class Medians {
  private Medians() {}

  /** The middle value, or the mean of the two; not a number if there is none. */
  static double of(double... values) {
    if (values.length == 0) {
      return Double.NaN;
    }
    double[] sorted = Arrays.stream(values).sorted().toArray();
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
