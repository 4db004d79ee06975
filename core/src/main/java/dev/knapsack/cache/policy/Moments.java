package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;

/**
 * How the rows of a window look at each token of a head: how much on average, how differently, and
 * with what part of their entropy; of each query head on its own, and then the mean of those that
 * share a KV head. Rows count as those of {@link ObservationWindow} do.
 *
 * @param rows of the window
 */
record Moments(int rows) {
  /** Those before are the scorer's. */
  private static final int FIRST = 8;

  Moments {
    ObservationWindow.check(rows);
  }

  /**
   * Of each token.
   *
   * @param mean weight
   * @param variance of its weight among the rows
   * @param entropy {@code −Σ A·ln A} over the rows
   */
  record OfTokens(float[] mean, float[] variance, float[] entropy) {}

  /** How many numbers are remembered of each token of a head, the scorer's included. */
  static int numbers(CachedHead head) {
    return FIRST + 2 + head.heads().group();
  }

  void observe(CachedHead head, int position, Matrix weights) {
    int tokens = weights.columns();
    int group = weights.rows();
    float[] squares = ObservationWindow.now(head, FIRST, position, rows, tokens);
    float[] entropy = ObservationWindow.now(head, FIRST + 1, position, rows, tokens);
    for (int g = 0; g < group; g++) {
      float[] sums = ObservationWindow.now(head, FIRST + 2 + g, position, rows, tokens);
      long at = (long) g * tokens;
      for (int i = 0; i < tokens; i++) {
        float weight = weights.data().getAtIndex(ValueLayout.JAVA_FLOAT, at + i);
        if (weight > 0) {
          sums[i] += weight;
          squares[i] += weight * weight;
          entropy[i] -= weight * (float) Math.log(weight);
        }
      }
    }
  }

  OfTokens of(CachedHead head) {
    int count = head.count();
    int group = head.cache().layout().layers().get(head.layer()).group();
    float[] mean = new float[count];
    float[] variance = new float[count];
    float[] entropy = new float[count];
    ObservationWindow.sums(head, FIRST, rows, variance);
    ObservationWindow.sums(head, FIRST + 1, rows, entropy);
    float[] sums = new float[count];
    for (int g = 0; g < group; g++) {
      ObservationWindow.sums(head, FIRST + 2 + g, rows, sums);
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
