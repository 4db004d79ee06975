package dev.knapsack.model.arch;

import java.util.Set;

/** Qwen 2 and 2.5: biases on queries, keys and values. */
class Qwen2 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q.bias", "attn_k.bias", "attn_v.bias");
  }
}
