package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;

/**
 * The first tokens, the last, and those that the prompt's rows look at most; once an answer is
 * written, the token at a fixed distance from the end goes: ElasticCache (Liu et al., arXiv
 * 2407.18121).
 *
 * <p>Of query heads those that share a KV head are averaged, where the paper averages all of a
 * layer.
 *
 * @param sinks first tokens that stay
 * @param distance of the token that goes, and last tokens of a prompt that stay: 25 in the paper's
 *     code
 */
record PromptAttention(int sinks, int distance) implements Scorer {
  @Override
  public String name() {
    return "elastic(" + sinks + "," + distance + ")";
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
  public boolean countsAnswer() {
    return false;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    ObservationWindow.addMean(weights, head.scores(0, weights.columns()));
  }

  @Override
  public void score(CachedHead head, float[] out) {
    int count = head.count();
    if (head.cache().text().promptEnd() > 0
        && head.cache().length() > head.cache().text().promptEnd()) {
      // Of several that go at once the earlier ones, down to the first that stay.
      Arrays.fill(out, 0, count, Float.POSITIVE_INFINITY);
      for (int i = 0; i < count - distance; i++) {
        out[i] = head.position(i) < sinks ? Float.POSITIVE_INFINITY : -i;
      }
      return;
    }
    System.arraycopy(head.scores(0, count), 0, out, 0, count);
    for (int i = 0; i < count && head.position(i) < sinks; i++) {
      out[i] = Float.POSITIVE_INFINITY;
    }
    ObservationWindow.keepLast(head, distance, out);
  }
}
