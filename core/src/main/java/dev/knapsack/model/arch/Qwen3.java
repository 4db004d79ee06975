package dev.knapsack.model.arch;

import java.util.Set;

/** Qwen 3, dense and with experts: queries and keys are normed per head before they are rotated. */
class Qwen3 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight");
  }

  @Override
  int usualExpertWidth(int denseWidth, int used) {
    return denseWidth / used;
  }
}
