package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;

/**
 * The unevenness with which the rows of a window look at each token of a head: the kurtosis {@code
 * m₄/m₂²} of the weights, 3 for those of a normal distribution. Of query heads those that share a
 * KV head are averaged first. Rows count as those of {@link ObservationWindow} do.
 *
 * @param rows of the window
 */
record Kurtosis(int rows) {
  /** Variances below are taken for this: a token that nobody looks at counts nothing. */
  private static final double LEAST_VARIANCE = 1e-8;

  /** Numbers of a token: the mean, and sums of the 2nd to 4th powers of what differs from it. */
  private static final int SUMS = 4;

  /** The count of numbers that are remembered of each token. */
  static final int NUMBERS = ObservationWindow.NUMBERS * SUMS;

  /** The first number of a sum: those of {@link Moments} come after all of these. */
  private static int first(CachedHead head, int sum) {
    int numbers = head.cache().layout().policy().observer().numbers(head.heads());
    int moments = Moments.numbers(head.heads().group());
    return numbers - moments - NUMBERS + ObservationWindow.NUMBERS * sum;
  }

  void observe(CachedHead head, int position, Matrix weights) {
    int tokens = weights.columns();
    int seen = Math.floorMod(position - head.cache().text().promptEnd(), rows) + 1;
    float[][] now = new float[SUMS][];
    for (int i = 0; i < SUMS; i++) {
      now[i] = ObservationWindow.now(head, first(head, i), position, rows, tokens);
    }
    for (int t = 0; t < tokens; t++) {
      double weight = 0;
      for (int g = 0; g < weights.rows(); g++) {
        weight += weights.data().getAtIndex(ValueLayout.JAVA_FLOAT, (long) g * tokens + t);
      }
      Sums sums = Sums.of(now, t, seen - 1, 1);
      sums.plus(new Sums(1, weight / weights.rows(), 0, 0, 0)).to(now, t);
    }
  }

  /** The kurtosis of each token. */
  double[] of(CachedHead head) {
    int count = head.count();
    float[][] now = new float[SUMS][];
    float[][] before = new float[SUMS][];
    for (int i = 0; i < SUMS; i++) {
      now[i] = head.scores(first(head, i), count);
      before[i] = head.scores(first(head, i) + 1, count);
    }
    int last = head.cache().length() - 1 - head.cache().text().promptEnd();
    int seen = Math.floorMod(last, rows) + 1;
    double lacking = (rows - seen) / (double) rows;
    double[] kurtosis = new double[count];
    for (int t = 0; t < count; t++) {
      Sums sums = Sums.of(now, t, seen, 1).plus(Sums.of(before, t, rows, lacking));
      double variance = Math.max(LEAST_VARIANCE, sums.second() / rows);
      kurtosis[t] = sums.fourth() / rows / (variance * variance);
    }
    return kurtosis;
  }

  /**
   * Sums of the powers of some rows' weights.
   *
   * @param rows how many
   * @param mean of their weights
   * @param second the sum of the squares of what differs from it
   * @param third that of the cubes
   * @param fourth that of the fourth powers
   */
  private record Sums(double rows, double mean, double second, double third, double fourth) {
    static Sums of(float[][] numbers, int token, int rows, double share) {
      return new Sums(
          rows * share,
          numbers[0][token],
          numbers[1][token] * share,
          numbers[2][token] * share,
          numbers[3][token] * share);
    }

    void to(float[][] numbers, int token) {
      numbers[0][token] = (float) mean;
      numbers[1][token] = (float) second;
      numbers[2][token] = (float) third;
      numbers[3][token] = (float) fourth;
    }

    /** Together with other rows (Pébay, SAND2008-6212): differences are not lost, as in powers. */
    Sums plus(Sums other) {
      double all = rows + other.rows;
      if (all == 0) {
        return this;
      }
      double a = rows / all;
      double b = other.rows / all;
      double delta = other.mean - mean;
      double square = delta * delta;
      return new Sums(
          all,
          mean + b * delta,
          second + other.second + square * a * other.rows,
          third
              + other.third
              + square * delta * a * other.rows * (a - b)
              + 3 * delta * (a * other.second - b * second),
          fourth
              + other.fourth
              + square * square * a * other.rows * (a * a - a * b + b * b)
              + 6 * square * (a * a * other.second + b * b * second)
              + 4 * delta * (a * other.third - b * third));
    }
  }
}
