package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;

/**
 * Tokens that rows after the prompt's last token look at matter, as those of an answer will: DapQ.
 * The rows repeat the prompt's last tokens at the positions where the answer will stand, which
 * count for more in a query than what the tokens are, and nothing of them is kept. Scores are those
 * of {@link ObservationWindow}, with these rows for its window; what stays goes by them alone, for
 * the prompt's last tokens too.
 *
 * <p>With a trigger that is due before the prompt has been read, tokens go before anything is known
 * of them: the earlier ones first.
 *
 * @param rows that are looked at
 */
record PseudoQueries(int rows) implements Scorer {
  PseudoQueries {
    ObservationWindow.check(rows);
  }

  @Override
  public String name() {
    return "ahead(" + rows + ")";
  }

  @Override
  public int lookahead() {
    return rows;
  }

  @Override
  public int weightRows(int layer) {
    return rows;
  }

  @Override
  public int numbers() {
    return 1;
  }

  @Override
  public boolean countsAnswer() {
    return false;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    int after = position - head.cache().promptEnd();
    if (after >= 0) {
      float[] sums = head.scores(0, weights.columns());
      if (after == 0) {
        Arrays.fill(sums, 0); // of the prompt before
      }
      ObservationWindow.addMean(weights, sums);
    }
  }

  @Override
  public void score(CachedHead head, float[] out) {
    ObservationWindow.pool(head.scores(0, head.count()), head.count(), out);
  }
}
