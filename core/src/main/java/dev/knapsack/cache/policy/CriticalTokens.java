package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;

/**
 * Tokens without which attention's result would change most matter: CriticalKV (Feng et al., arXiv
 * 2502.03805). Half of what is kept are the tokens that another scorer, here {@link
 * ObservationWindow}, says; of the others, those whose {@code (score + 10⁻⁴) · ‖W_o v‖₁} is
 * highest, with the mean of the norm over the query heads that share the KV head.
 *
 * <p>Norms are computed while a prompt is read, and as long as a trigger is to come that counts
 * them. A token that has none, since it was written in between, is of an earlier turn or comes from
 * a saved cache, counts like the average of those that have.
 *
 * @param base what the first half goes by
 */
record CriticalTokens(ObservationWindow base) implements Scorer {
  private static final float LEAST = 1e-4f;

  /** The number that is kept of a token, after those of the base. */
  private static final int NORM = ObservationWindow.NUMBERS;

  @Override
  public String name() {
    return "critical(" + base.rows() + ")";
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return NORM + 1;
  }

  @Override
  public int weightRows(int layer) {
    return base.weightRows(layer);
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    base.observe(head, position, weights);
  }

  @Override
  public boolean looks(int layer) {
    return true;
  }

  @Override
  public boolean wantsOutputNorms(int layer) {
    return true;
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    int first = head.count();
    float[] norms = head.scores(NORM, first + step.rows());
    for (int row = 0; row < step.rows(); row++) {
      norms[first + row] = step.outputNorm(row, head.kvHead());
    }
  }

  @Override
  public void score(CachedHead head, float[] out) {
    score(head, head.count(), out);
  }

  @Override
  public void score(CachedHead head, int keep, float[] out) {
    base.score(head, out);
    int count = head.count();
    int half = Math.min(count, keep) / 2;
    int[] first = half == 0 ? new int[0] : Recipe.best(Arrays.copyOf(out, count), half);
    float[] norms = head.scores(NORM, count);
    float average = average(norms, count);
    for (int i = 0; i < count; i++) {
      out[i] = (out[i] + LEAST) * (norms[i] == 0 ? average : norms[i]);
    }
    for (int i : first) {
      out[i] = Float.POSITIVE_INFINITY;
    }
  }

  private static float average(float[] norms, int count) {
    double sum = 0;
    int known = 0;
    for (int i = 0; i < count; i++) {
      sum += norms[i];
      known += norms[i] == 0 ? 0 : 1;
    }
    return known == 0 ? 1 : (float) (sum / known);
  }
}
