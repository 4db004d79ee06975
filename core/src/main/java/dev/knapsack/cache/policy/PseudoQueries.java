package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Tokens that rows after those of a step look at matter, as those of an answer will. Nothing of
 * these rows is kept, and what stays of the text goes by them alone, for its last tokens too; what
 * follows the prompt stays as long as there is room.
 *
 * <p>DapQ: the rows repeat the last tokens at positions where the answer will stand, which count
 * for more in a query than what the tokens are. Scores are those of {@link ObservationWindow}, with
 * these rows for its window.
 *
 * <p>EpiCache (Kim et al., arXiv 2509.17396): the rows are a {@linkplain SequenceText#patch patch},
 * a part of the text that questions to come will be like, and the one row of one head that looks at
 * a token most is its score, averaged over its neighbours as above.
 *
 * @param rows that are looked at
 * @param most whether the highest weight counts, and not the mean
 */
record PseudoQueries(int rows, boolean most) implements Scorer {
  PseudoQueries {
    ObservationWindow.check(rows);
  }

  @Override
  public String name() {
    return (most ? "patch(" : "ahead(") + rows + ")";
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
  public int numbers(LayerLayout.Heads heads) {
    return 1;
  }

  @Override
  public boolean countsAnswer() {
    return false;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    int after = position - head.cache().text().stepEnd();
    if (after >= 0) {
      float[] looked = head.scores(0, weights.columns());
      if (after == 0) {
        Arrays.fill(looked, 0); // of those before
      }
      if (most) {
        takeMost(weights, looked);
      } else {
        ObservationWindow.addMean(weights, looked);
      }
    }
  }

  private static void takeMost(Matrix weights, float[] looked) {
    for (int row = 0; row < weights.rows(); row++) {
      long at = (long) row * weights.columns();
      for (int i = 0; i < weights.columns(); i++) {
        float weight = weights.data().getAtIndex(ValueLayout.JAVA_FLOAT, at + i);
        looked[i] = Math.max(looked[i], weight);
      }
    }
  }

  @Override
  public void score(CachedHead head, float[] out) {
    KvCache cache = head.cache();
    int answer = ObservationWindow.keepLast(head, cache.length() - cache.text().promptEnd(), out);
    int past = head.count() - answer;
    ObservationWindow.pool(head.scores(0, head.count()), past, out);
  }
}
