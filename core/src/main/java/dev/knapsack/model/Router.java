package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Chooses experts: for every token those with the highest logits, and for every expert the tokens
 * that chose it.
 */
final class Router {
  private final int tokens;
  private float[] probabilities = new float[0];
  private int[] chosen = new int[0];
  private float[] weights = new float[0];

  // Tokens by expert: those of expert e are rows[starts[e]] to rows[starts[e + 1]].
  private int[] starts = new int[0];
  private int[] rows = new int[0];
  private float[] rowWeights = new float[0];
  private int[] active = new int[0];
  private int activeCount;

  /**
   * @param tokens the most tokens in a step
   */
  Router(int tokens) {
    this.tokens = tokens;
  }

  /** Routes one token for each row of logits. */
  void route(Experts experts, Matrix logits) {
    prepare(experts);
    int used = experts.used();
    for (int t = 0; t < logits.rows(); t++) {
      MemorySegment data = logits.data();
      for (int e = 0; e < experts.count(); e++) {
        probabilities[e] = data.getAtIndex(ValueLayout.JAVA_FLOAT, (long) t * logits.columns() + e);
      }
      if (!experts.softmaxLast()) {
        softmax(probabilities, 0, experts.count());
      }
      choose(experts, t * used);
      if (experts.softmaxLast()) {
        softmax(weights, t * used, used);
      }
      scale(experts, t * used);
    }
    group(experts, logits.rows());
  }

  private void prepare(Experts experts) {
    if (probabilities.length < experts.count() || chosen.length < tokens * experts.used()) {
      int choices = tokens * experts.used();
      probabilities = new float[experts.count()];
      starts = new int[experts.count() + 1];
      active = new int[experts.count()];
      chosen = new int[choices];
      weights = new float[choices];
      rows = new int[choices];
      rowWeights = new float[choices];
    }
  }

  private static void softmax(float[] x, int from, int length) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = from; i < from + length; i++) {
      max = Math.max(max, x[i]);
    }
    double sum = 0;
    for (int i = from; i < from + length; i++) {
      x[i] = (float) Math.exp(x[i] - max);
      sum += x[i];
    }
    for (int i = from; i < from + length; i++) {
      x[i] = (float) (x[i] / sum);
    }
  }

  /** The highest first; of equal ones the one that comes first. */
  private void choose(Experts experts, int at) {
    for (int k = 0; k < experts.used(); k++) {
      int best = -1;
      for (int e = 0; e < experts.count(); e++) {
        if (!taken(e, at, at + k) && (best < 0 || probabilities[e] > probabilities[best])) {
          best = e;
        }
      }
      chosen[at + k] = best;
      weights[at + k] = probabilities[best];
    }
  }

  private boolean taken(int expert, int from, int to) {
    for (int i = from; i < to; i++) {
      if (chosen[i] == expert) {
        return true;
      }
    }
    return false;
  }

  private void scale(Experts experts, int at) {
    float factor = experts.scale();
    if (experts.normalise() && !experts.softmaxLast()) {
      double sum = 0;
      for (int i = at; i < at + experts.used(); i++) {
        sum += weights[i];
      }
      factor = (float) (factor / sum);
    }
    for (int i = at; i < at + experts.used(); i++) {
      weights[i] *= factor;
    }
  }

  private void group(Experts experts, int tokenCount) {
    Arrays.fill(starts, 0);
    int choices = tokenCount * experts.used();
    for (int i = 0; i < choices; i++) {
      starts[chosen[i] + 1]++;
    }
    activeCount = 0;
    for (int e = 0; e < experts.count(); e++) {
      if (starts[e + 1] > 0) {
        active[activeCount++] = e;
      }
      starts[e + 1] += starts[e];
    }
    // Each expert's start moves up to its end, which is the next one's start; then they move back.
    for (int i = 0; i < choices; i++) {
      int at = starts[chosen[i]]++;
      rows[at] = i / experts.used();
      rowWeights[at] = weights[i];
    }
    for (int e = experts.count(); e > 0; e--) {
      starts[e] = starts[e - 1];
    }
    starts[0] = 0;
  }

  /** The experts that any token chose, in ascending order. */
  int[] active() {
    return Arrays.copyOf(active, activeCount);
  }

  /** Counts the tokens that chose this expert. */
  int count(int expert) {
    return starts[expert + 1] - starts[expert];
  }

  /** Counts those of them that are among the first {@code rows} tokens of the step. */
  int countBefore(int expert, int rows) {
    int count = 0;
    while (count < count(expert) && row(expert, count) < rows) {
      count++;
    }
    return count;
  }

  /** The {@code i}-th token that chose this expert. */
  int row(int expert, int i) {
    return rows[starts[expert] + i];
  }

  /** The factor on what this expert computes for its {@code i}-th token. */
  float weight(int expert, int i) {
    return rowWeights[starts[expert] + i];
  }
}
