package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;

/**
 * Tokens that got the most attention so far matter, of every query row and all query heads that
 * share the KV head: H2O (Zhang et al., arXiv 2306.14048).
 *
 * @param recent last tokens that stay: they have had no time to be looked at
 */
record HeavyHitters(Size recent) implements Scorer {
  @Override
  public String name() {
    return "h2o(" + recent + ")";
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return 1;
  }

  @Override
  public int weightRows(int layer) {
    return Integer.MAX_VALUE;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    ObservationWindow.addMean(weights, head.scores(0, weights.columns()));
  }

  /** All since the sequence began. */
  @Override
  public boolean remembers() {
    return true;
  }

  @Override
  public void score(CachedHead head, float[] out) {
    int count = head.count();
    System.arraycopy(head.scores(0, count), 0, out, 0, count);
    ObservationWindow.keepLast(head, recent.tokens(head.cache()), out);
  }
}
