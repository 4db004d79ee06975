package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Chooses experts as a {@link Gating} says: for every token some, and for every expert the tokens
 * that chose it.
 */
final class Router {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final int tokens;

  // Of a token, by expert: its weight, what it is chosen by, and whether it cannot be chosen.
  private float[] gates = new float[0];
  private float[] scores = new float[0];
  private boolean[] out = new boolean[0];
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

  /**
   * Routes one token for each row of logits.
   *
   * @param used experts that a token uses
   * @param bias what weights are more by when experts are chosen; null for nothing
   */
  void route(Gating gating, int used, @Nullable Matrix bias, Matrix logits) {
    int count = logits.columns();
    prepare(count, used);
    for (int t = 0; t < logits.rows(); t++) {
      gate(gating, bias, logits, t);
      keepGroups(gating, count);
      choose(count, t * used, used);
      if (gating.function() == Gating.Function.SOFTMAX_OF_CHOSEN) {
        softmax(weights, t * used, used);
      }
      scale(gating, t * used, used);
    }
    group(count, logits.rows(), used);
  }

  private void prepare(int count, int used) {
    if (gates.length < count || chosen.length < tokens * used) {
      int choices = tokens * used;
      gates = new float[count];
      scores = new float[count];
      out = new boolean[count];
      starts = new int[count + 1];
      active = new int[count];
      chosen = new int[choices];
      weights = new float[choices];
      rows = new int[choices];
      rowWeights = new float[choices];
    }
  }

  private void gate(Gating gating, @Nullable Matrix bias, Matrix logits, int row) {
    int count = logits.columns();
    for (int e = 0; e < count; e++) {
      scores[e] = logits.data().getAtIndex(FLOAT, (long) row * count + e);
      gates[e] =
          gating.function() == Gating.Function.SIGMOID
              ? (float) (1 / (1 + Math.exp(-scores[e])))
              : scores[e];
    }
    if (gating.function() == Gating.Function.SOFTMAX) {
      softmax(gates, 0, count);
    }
    // The order of weights is that of logits, which do not become alike when they are far from 0.
    if (bias != null || gating.groups() > 1) {
      for (int e = 0; e < count; e++) {
        scores[e] = gates[e] + (bias == null ? 0 : bias.data().getAtIndex(FLOAT, e));
      }
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

  /** Leaves out the experts of all groups but those whose two best are best together. */
  private void keepGroups(Gating gating, int count) {
    boolean grouped = gating.usedGroups() < gating.groups();
    Arrays.fill(out, grouped);
    if (!grouped) {
      return;
    }
    int size = count / gating.groups();
    boolean[] kept = new boolean[gating.groups()];
    float[] best = new float[gating.groups()];
    for (int g = 0; g < best.length; g++) {
      best[g] = twoBest(g * size, (g + 1) * size);
    }
    for (int k = 0; k < gating.usedGroups(); k++) {
      int group = highest(best, kept, best.length);
      kept[group] = true;
      Arrays.fill(out, group * size, (group + 1) * size, false);
    }
  }

  /** The sum of the two highest scores. */
  private float twoBest(int from, int to) {
    float first = Float.NEGATIVE_INFINITY;
    float second = Float.NEGATIVE_INFINITY;
    for (int e = from; e < to; e++) {
      if (scores[e] > first) {
        second = first;
        first = scores[e];
      } else {
        second = Math.max(second, scores[e]);
      }
    }
    return to - from == 1 ? first : first + second;
  }

  private void choose(int count, int at, int used) {
    for (int k = at; k < at + used; k++) {
      int expert = highest(scores, out, count);
      out[expert] = true;
      chosen[k] = expert;
      weights[k] = gates[expert];
    }
  }

  /** The highest of those that are not out; of equal ones the one that comes first. */
  private static int highest(float[] of, boolean[] out, int count) {
    int best = -1;
    for (int i = 0; i < count; i++) {
      if (!out[i] && (best < 0 || of[i] > of[best])) {
        best = i;
      }
    }
    return best;
  }

  private void scale(Gating gating, int from, int used) {
    float factor = gating.scale();
    if (gating.normalise() && gating.function() != Gating.Function.SOFTMAX_OF_CHOSEN) {
      double sum = 0;
      for (int i = from; i < from + used; i++) {
        sum += weights[i];
      }
      // Weights may all be too small for a float.
      factor = (float) (factor / Math.max(sum, Float.MIN_NORMAL));
    }
    for (int i = from; i < from + used; i++) {
      weights[i] *= factor;
    }
  }

  private void group(int count, int tokenCount, int used) {
    Arrays.fill(starts, 0);
    int choices = tokenCount * used;
    for (int i = 0; i < choices; i++) {
      starts[chosen[i] + 1]++;
    }
    activeCount = 0;
    for (int e = 0; e < count; e++) {
      if (starts[e + 1] > 0) {
        active[activeCount++] = e;
      }
      starts[e + 1] += starts[e];
    }
    // Each expert's start moves up to its end, which is the next one's start; then they move back.
    for (int i = 0; i < choices; i++) {
      int at = starts[chosen[i]]++;
      rows[at] = i / used;
      rowWeights[at] = weights[i];
    }
    for (int e = count; e > 0; e--) {
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
