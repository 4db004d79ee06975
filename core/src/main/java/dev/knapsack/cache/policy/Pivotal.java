package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;

/**
 * Tokens that are pivotal stay so: Scissorhands (Liu et al., arXiv 2305.17118). Of the last query
 * rows, those count against a token that look at it less than evenly, with a weight below {@code
 * 1/t} of the {@code t} tokens that they see.
 *
 * <p>Query heads that share a KV head count each as much as the others. Rows count as those of
 * {@link ObservationWindow} do.
 *
 * @param rows that count: 400 in the paper
 * @param recent last tokens that stay, 10 in the paper
 */
record Pivotal(int rows, int recent) implements Scorer {
  Pivotal {
    ObservationWindow.check(rows);
  }

  @Override
  public String name() {
    return "pivotal(" + rows + "," + recent + ")";
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return ObservationWindow.NUMBERS;
  }

  @Override
  public int weightRows(int layer) {
    return rows;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    float[] now = ObservationWindow.now(head, 0, position, rows, weights.columns());
    int seen = head.count() + position - head.cache().length() + 1;
    float even = 1f / seen;
    float share = 1f / weights.rows();
    for (int query = 0; query < weights.rows(); query++) {
      float[] row = Rows.row(weights, query);
      for (int i = 0; i < seen; i++) {
        now[i] += row[i] < even ? share : 0;
      }
    }
  }

  @Override
  public void score(CachedHead head, float[] out) {
    ObservationWindow.sums(head, 0, rows, out);
    for (int i = 0; i < head.count(); i++) {
      out[i] = -out[i];
    }
    ObservationWindow.keepLast(head, recent, out);
  }
}
