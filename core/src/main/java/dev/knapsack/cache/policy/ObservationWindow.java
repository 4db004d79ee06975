package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;

/**
 * Tokens that the last query rows look at matter: SnapKV (Li et al., arXiv 2404.14469). A token's
 * score is the mean attention of the window's rows, averaged over {@value #POOL} neighbours, so
 * that what stands together stays together, and over the query heads that share the KV head.
 *
 * <p>Where nothing is forgotten after a prompt, what its rows looked at is not remembered either:
 * of a later turn of fewer rows than a window these count alone.
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

  /** The count of numbers that are remembered of each token. */
  static final int NUMBERS = 2;

  ObservationWindow {
    check(rows);
  }

  static void check(int rows) {
    if (rows < 1) {
      throw new IllegalArgumentException("a window has 1 row or more, not " + rows);
    }
  }

  @Override
  public String name() {
    return "window(" + rows + ")";
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return NUMBERS;
  }

  @Override
  public int weightRows(int layer) {
    return rows;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    addMean(weights, now(head, 0, position, rows, weights.columns()));
  }

  /**
   * The numbers that are remembered of this window's rows, to which one at this position is to be
   * added.
   *
   * @param first of the two numbers that are remembered of a sum, one of each of two windows
   */
  static float[] now(CachedHead head, int first, int position, int rows, int tokens) {
    float[] now = head.scores(first, tokens);
    if (Math.floorMod(position - head.cache().text().promptEnd(), rows) == 0) {
      float[] before = head.scores(first + 1, tokens);
      System.arraycopy(now, 0, before, 0, tokens);
      Arrays.fill(now, 0, tokens, 0);
    }
    return now;
  }

  /** Sums over as many rows as a window has. */
  static void sums(CachedHead head, int first, int rows, float[] out) {
    int count = head.count();
    float[] now = head.scores(first, count);
    float[] before = head.scores(first + 1, count);
    int last = head.cache().length() - 1 - head.cache().text().promptEnd();
    float lacking = (rows - 1 - Math.floorMod(last, rows)) / (float) rows;
    for (int i = 0; i < count; i++) {
      out[i] = now[i] + lacking * before[i];
    }
  }

  @Override
  public void score(CachedHead head, float[] out) {
    float[] sums = new float[head.count()];
    sums(head, 0, rows, sums);
    // Pooling ends where the window begins, whose own scores are of fewer rows.
    int past = head.count() - keepLast(head, rows, out);
    pool(sums, past, out);
    for (int i = 0; i < past; i++) {
      out[i] /= rows;
    }
  }

  /** Gives each of the first {@code count} tokens the mean of its neighbours. */
  static void pool(float[] numbers, int count, float[] out) {
    for (int i = 0; i < count; i++) {
      float sum = 0;
      int end = Math.min(count, i + POOL / 2 + 1);
      for (int j = Math.max(0, i - POOL / 2); j < end; j++) {
        sum += numbers[j];
      }
      out[i] = sum / POOL;
    }
  }

  /** Adds the mean of the query heads to each token's number. */
  static void addMean(Matrix weights, float[] sums) {
    float share = 1f / weights.rows();
    for (int row = 0; row < weights.rows(); row++) {
      Rows.addScaled(share, Rows.row(weights, row), sums);
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
