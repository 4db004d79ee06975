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
    float[] key = new float[head.keySize()];
    double[] mean = new double[key.length];
    for (int i = 0; i < head.count(); i++) {
      head.key(i, key);
      double scale = scale(key);
      for (int c = 0; c < key.length; c++) {
        mean[c] += key[c] * scale;
      }
    }
    for (int i = 0; i < head.count(); i++) {
      head.key(i, key);
      double product = 0;
      for (int c = 0; c < key.length; c++) {
        product += key[c] * mean[c];
      }
      // The length of the mean divides all alike, and changes no order.
      out[i] = (float) (-product * scale(key));
    }
  }

  private static double scale(float[] key) {
    return 1 / Math.max(KeyNorm.norm(key), 1e-12);
  }
}
