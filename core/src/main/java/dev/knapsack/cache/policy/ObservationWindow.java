package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Tokens that the last query rows look at matter: SnapKV (Li et al., arXiv 2404.14469). A token's
 * score is the mean attention of the window's rows, averaged over {@value #POOL} neighbours, so
 * that what stands together stays together, and over the query heads that share the KV head.
 *
 * <p>Windows follow one another so that one ends with the prompt; when it does, exactly its rows
 * count, however many tokens a step has. In between, the rows of a window that has begun count, and
 * those of the one before it as much as the new one lacks rows.
 *
 * @param rows of the window, whose tokens always stay
 */
record ObservationWindow(int rows) implements Scorer {
  /** Neighbouring tokens that share their scores. */
  static final int POOL = 5;

  // What is remembered of each token: sums over the rows of two windows.
  private static final int NOW = 0;
  private static final int BEFORE = 1;

  /** How many numbers that is. */
  static final int NUMBERS = 2;

  ObservationWindow {
    if (rows < 1) {
      throw new IllegalArgumentException("A window has 1 row or more, not " + rows);
    }
  }

  @Override
  public String name() {
    return "window(" + rows + ")";
  }

  @Override
  public int weightRows(int layer) {
    return rows;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    float[] now = head.scores(NOW, weights.columns());
    if (Math.floorMod(position - head.cache().promptEnd(), rows) == 0) {
      float[] before = head.scores(BEFORE, weights.columns());
      System.arraycopy(now, 0, before, 0, weights.columns());
      Arrays.fill(now, 0, weights.columns(), 0);
    }
    addMean(weights, now);
  }

  @Override
  public void score(CachedHead head, float[] out) {
    int count = head.count();
    float[] now = head.scores(NOW, count);
    float[] before = head.scores(BEFORE, count);
    int last = head.cache().length() - 1 - head.cache().promptEnd();
    float lacking = (rows - 1 - Math.floorMod(last, rows)) / (float) rows;
    // Pooling ends where the window begins, whose own scores are of fewer rows.
    int past = count - keepLast(head, rows, out);
    for (int i = 0; i < past; i++) {
      float sum = 0;
      int end = Math.min(past, i + POOL / 2 + 1);
      for (int j = Math.max(0, i - POOL / 2); j < end; j++) {
        sum += now[j] + lacking * before[j];
      }
      out[i] = sum / (POOL * rows);
    }
  }

  /** Adds the mean of the query heads to each token's number. */
  static void addMean(Matrix weights, float[] sums) {
    float share = 1f / weights.rows();
    for (int row = 0; row < weights.rows(); row++) {
      long at = (long) row * weights.columns();
      for (int i = 0; i < weights.columns(); i++) {
        sums[i] += share * weights.data().getAtIndex(ValueLayout.JAVA_FLOAT, at + i);
      }
    }
  }

  /** Makes the sequence's last tokens stay; how many of them the head has. */
  static int keepLast(CachedHead head, int tokens, float[] scores) {
    int from = head.count();
    while (from > 0 && head.position(from - 1) >= head.cache().length() - tokens) {
      from--;
    }
    Arrays.fill(scores, from, head.count(), Float.POSITIVE_INFINITY);
    return head.count() - from;
  }
}
