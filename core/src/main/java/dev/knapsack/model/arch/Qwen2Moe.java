package dev.knapsack.model.arch;

import java.util.Set;

/**
 * Qwen 1.5 and 2 with experts: weights of the chosen experts as the softmax over all gave them, and
 * an expert for every token behind a sigmoid gate.
 */
final class Qwen2Moe extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q.bias", "attn_k.bias", "attn_v.bias", "ffn_gate_inp_shexp.weight");
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }

  @Override
  int usualExpertWidth(int denseWidth, int used) {
    return denseWidth / used;
  }

  @Override
  int usualSharedWidth(Header header, int denseWidth, int expertWidth) {
    return denseWidth;
  }
}
