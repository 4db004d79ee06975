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

  /** How many are remembered of each token: the last of {@link CachedHead#scores}. */
  static int numbers(int group) {
    return ObservationWindow.NUMBERS * (2 + group);
  }

  /** The first number of a sum: of squares, of entropy, and then of each query head's weights. */
  private static int first(CachedHead head, int sum) {
    int numbers = head.cache().layout().policy().numbers(head.heads());
    return numbers - numbers(head.heads().group()) + ObservationWindow.NUMBERS * sum;
  }

  void observe(CachedHead head, int position, Matrix weights) {
    int tokens = weights.columns();
    int group = weights.rows();
    float[] squares = ObservationWindow.now(head, first(head, 0), position, rows, tokens);
    float[] entropy = ObservationWindow.now(head, first(head, 1), position, rows, tokens);
    for (int g = 0; g < group; g++) {
      float[] sums = ObservationWindow.now(head, first(head, 2 + g), position, rows, tokens);
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
