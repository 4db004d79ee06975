package dev.knapsack.model.arch;

import java.util.Set;

/**
 * ERNIE 4.5 with experts: Llama with experts that a bias helps to choose, and one for every token.
 */
final class Ernie45Moe extends Llama {
  @Override
  Set<String> requiredTensors() {
    return Set.of("exp_probs_b.bias");
  }
}
