package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.tensor.Matrix;

/**
 * The moments of a window's rows by each token of a head: how much they look at it on average, how
 * differently, and with what part of their entropy; of each query head on its own, and then the
 * mean of those that share a KV head. Rows count as those of {@link ObservationWindow} do.
 *
 * @param rows of the window
 */
record Moments(int rows) {
  private static final float LN_2 = (float) Math.log(2);

  /** The bits of √½. */
  private static final int ROOT_OF_HALF = Float.floatToRawIntBits((float) Math.sqrt(0.5));

  Moments {
    ObservationWindow.check(rows);
  }

  /**
   * The moments of each token.
   *
   * @param mean weight
   * @param variance of its weight among the rows
   * @param entropy {@code −Σ A·ln A} over the rows
   */
  record OfTokens(float[] mean, float[] variance, float[] entropy) {}

  /**
   * The count of numbers that are remembered of each token: the last of {@link CachedHead#scores}.
   */
  static int numbers(int group) {
    return ObservationWindow.NUMBERS * (2 + group);
  }

  /** The first number of a sum: of squares, of entropy, and then of each query head's weights. */
  private static int first(CachedHead head, int sum) {
    int numbers = head.cache().layout().policy().observer().numbers(head.heads());
    return numbers - numbers(head.heads().group()) + ObservationWindow.NUMBERS * sum;
  }

  void observe(CachedHead head, int position, Matrix weights) {
    int tokens = weights.columns();
    int group = weights.rows();
    float[] squares = ObservationWindow.now(head, first(head, 0), position, rows, tokens);
    float[] entropy = ObservationWindow.now(head, first(head, 1), position, rows, tokens);
    for (int g = 0; g < group; g++) {
      float[] sums = ObservationWindow.now(head, first(head, 2 + g), position, rows, tokens);
      float[] row = Rows.row(weights, g);
      Rows.addScaled(1, row, sums);
      Rows.addProducts(row, row, squares);
      addEntropy(row, entropy);
    }
  }

  private static void addEntropy(float[] weights, float[] sums) {
    for (int i = 0; i < weights.length; i++) {
      float weight = weights[i];
      sums[i] -= weight * log(Math.max(weight, Float.MIN_NORMAL)); // 0 where the weight is
    }
  }

  /**
   * The natural logarithm of a positive normal number, to a few units of the last place: {@code
   * Math.log} would take longer than attention itself. With {@code x = m·2^e} and {@code m} within
   * {@code √½} and {@code √2} it is {@code e·ln 2 + 2·artanh((m − 1)/(m + 1))}, of whose series
   * five terms count.
   */
  static float log(float x) {
    int bits = Float.floatToRawIntBits(x);
    int exponent = (bits - ROOT_OF_HALF) >> 23;
    float m = Float.intBitsToFloat(bits - (exponent << 23));
    float s = (m - 1) / (m + 1);
    float q = s * s;
    float series = 1 + q * (1f / 3 + q * (1f / 5 + q * (1f / 7 + q * (1f / 9))));
    return exponent * LN_2 + 2 * s * series;
  }

  OfTokens of(CachedHead head) {
    int count = head.count();
    int group = head.cache().layout().heads(head.layer()).group();
    float[] mean = new float[count];
    float[] variance = new float[count];
    float[] entropy = new float[count];
    ObservationWindow.sums(head, first(head, 0), rows, variance);
    ObservationWindow.sums(head, first(head, 1), rows, entropy);
    float[] sums = new float[count];
    for (int g = 0; g < group; g++) {
      ObservationWindow.sums(head, first(head, 2 + g), rows, sums);
      for (int i = 0; i < count; i++) {
        mean[i] += sums[i];
        variance[i] -= sums[i] * sums[i] / rows;
      }
    }
    for (int i = 0; i < count; i++) {
      mean[i] /= group * rows;
      variance[i] = Math.max(0, variance[i]) / (group * Math.max(1, rows - 1));
      entropy[i] /= group;
    }
    return new OfTokens(mean, variance, entropy);
  }
}
