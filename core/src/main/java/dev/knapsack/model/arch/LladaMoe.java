package dev.knapsack.model.arch;

import dev.knapsack.model.Attention;

/**
 * LLaDA with experts: Qwen 3 whose tokens see all of a text, and whose experts' weights stay as the
 * softmax gave them.
 */
final class LladaMoe extends Qwen3 {
  @Override
  Attention.Source source() {
    return Attention.Source.ROWS;
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }
}
