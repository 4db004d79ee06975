package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import java.util.Arrays;

/**
 * Tokens in a row whose keys point the same way become one: KVMerger (Wang et al., arXiv
 * 2407.08454). Half of what a head keeps stays as it is, the tokens of the highest scores: the
 * heaviest and the last, with a scorer that goes by those. The others are taken in runs, as long as
 * {@code cos(k_i, k_i+1)} is above a threshold; each run becomes its token of the highest score,
 * the pivot, with the weights {@code exp(−‖k_p − k_i‖²/2σ²)} for keys and values, where {@code σ²}
 * is the run's mean square of those distances.
 *
 * <p>The paper's threshold alone says how much is merged. Here a head keeps to its budget: if there
 * are more runs, those whose pivots have the lowest scores are forgotten; if there are fewer, the
 * head keeps less.
 *
 * @param threshold 0.75 in the paper
 */
record SimilarMerge(double threshold) implements Action {
  @Override
  public String name() {
    return "runs(" + Term.written(threshold) + ")";
  }

  /** Each token is a run of its own where nothing is known of their scores. */
  @Override
  public void apply(CachedHead head, int[] kept) {
    head.keep(kept);
  }

  @Override
  public void apply(CachedHead head, int tokens, float[] scores) {
    if (tokens >= scores.length) {
      return;
    }
    int exempt = tokens / 2;
    boolean[] whole = new boolean[head.count()];
    for (int place : exempt > 0 ? Recipe.best(scores, exempt) : new int[0]) {
      whole[place] = true;
    }
    int[] run = runs(head, whole);
    int[] pivots = pivots(run, scores);
    float[] best = new float[pivots.length];
    for (int r = 0; r < best.length; r++) {
      best[r] = scores[pivots[r]];
    }
    int room = Math.min(tokens - exempt, pivots.length);
    boolean[] stays = new boolean[pivots.length];
    for (int r : room > 0 ? Recipe.best(best, room) : new int[0]) {
      stays[r] = true;
    }
    int from = 0;
    while (from < run.length) {
      int to = from + 1;
      while (to < run.length && run[from] >= 0 && run[to] == run[from]) {
        to++;
      }
      if (to - from > 1 && stays[run[from]]) {
        merge(head, from, to, pivots[run[from]]);
      }
      from = to;
    }
    int[] left = new int[exempt + room];
    int n = 0;
    for (int i = 0; i < run.length; i++) {
      if (run[i] < 0 || (stays[run[i]] && pivots[run[i]] == i)) {
        left[n++] = i;
      }
    }
    head.keep(left);
  }

  /** The run that each token is of, in order; −1 for those that stay as they are. */
  private int[] runs(CachedHead head, boolean[] whole) {
    int[] run = new int[whole.length];
    boolean[] same = new boolean[whole.length];
    float[] before = new float[head.keySize()];
    Rows.keys(
        head,
        (i, key) -> {
          same[i] = i > 0 && cosine(before, key) > threshold;
          System.arraycopy(key, 0, before, 0, key.length);
        });
    int runs = -1;
    for (int i = 0; i < run.length; i++) {
      if (whole[i]) {
        run[i] = -1;
      } else {
        runs += i > 0 && run[i - 1] >= 0 && same[i] ? 0 : 1;
        run[i] = runs;
      }
    }
    return run;
  }

  /** Each run's token of the highest score. */
  private static int[] pivots(int[] run, float[] scores) {
    int[] pivots = new int[Arrays.stream(run).max().orElse(-1) + 1];
    Arrays.fill(pivots, -1);
    for (int i = 0; i < run.length; i++) {
      if (run[i] >= 0 && (pivots[run[i]] < 0 || scores[i] > scores[pivots[run[i]]])) {
        pivots[run[i]] = i;
      }
    }
    return pivots;
  }

  private static void merge(CachedHead head, int from, int to, int pivot) {
    float[] center = new float[head.keySize()];
    head.key(pivot, center);
    float[] distances = new float[to - from];
    Rows.keys(
        head,
        from,
        to,
        (i, key) -> {
          Rows.addScaled(-1, center, key);
          distances[i - from] = Rows.dot(key, key);
        });
    double spread = (double) Rows.sum(distances) / (distances.length - 1);
    float[] weights = new float[distances.length];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = spread > 0 ? (float) Math.exp(-distances[i] / (2 * spread)) : 1;
    }
    new Merged(head, from, weights).put(pivot);
  }

  private static float cosine(float[] one, float[] other) {
    return Rows.dot(one, other) / Math.max(1e-12f, Rows.norm(one) * Rows.norm(other));
  }
}
