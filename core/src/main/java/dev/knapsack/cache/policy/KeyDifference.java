package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;

/**
 * Tokens whose keys point elsewhere than most matter: KeyDiff (Park et al., arXiv 2504.15364),
 * {@code −cos(k, mean k/‖k‖)}.
 */
record KeyDifference() implements Scorer {
  @Override
  public String name() {
    return "keydiff";
  }

  @Override
  public void score(CachedHead head, float[] out) {
    float[] mean = new float[head.keySize()];
    float[] scales = new float[head.count()];
    Rows.keys(
        head,
        (i, key) -> {
          scales[i] = 1 / Math.max(Rows.norm(key), 1e-12f);
          Rows.addScaled(scales[i], key, mean);
        });
    // The length of the mean divides all alike, and changes no order.
    Rows.keys(head, (i, key) -> out[i] = -scales[i] * Rows.dot(key, mean));
  }
}
