package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;

/**
 * Tokens whose keys are short matter: the key norm of Devoto et al. (arXiv 2406.11430), {@code
 * −‖k‖}.
 */
record KeyNorm() implements Scorer {
  @Override
  public String name() {
    return "knorm";
  }

  @Override
  public void score(CachedHead head, float[] out) {
    float[] key = new float[head.keySize()];
    for (int i = 0; i < head.count(); i++) {
      head.key(i, key);
      out[i] = -norm(key);
    }
  }

  static float norm(float[] vector) {
    double sum = 0;
    for (float x : vector) {
      sum += (double) x * x;
    }
    return (float) Math.sqrt(sum);
  }
}
