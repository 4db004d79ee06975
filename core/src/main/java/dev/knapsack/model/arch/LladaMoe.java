package dev.knapsack.model.arch;

/**
 * LLaDA with experts: Qwen 3 that denoises texts, and whose experts' weights stay as the softmax
 * gave them.
 */
final class LladaMoe extends Qwen3 {
  @Override
  boolean denoises() {
    return true;
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }
}
