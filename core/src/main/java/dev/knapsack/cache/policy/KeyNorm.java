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
    Rows.keys(head, (i, key) -> out[i] = -Rows.norm(key));
  }
}
