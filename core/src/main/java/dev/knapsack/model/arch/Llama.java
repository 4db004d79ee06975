package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope.Pairs;

/**
 * Llama 1 to 3, Mistral and all that are built like them; with experts, Mixtral.
 *
 * <p>Llama 3.1's scaling of the rotary embedding comes as divisors in {@code rope_freqs.weight}.
 */
class Llama extends Family {
  @Override
  Pairs pairs() {
    return Pairs.ADJACENT;
  }
}
