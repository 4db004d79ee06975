package dev.knapsack.model.arch;

import java.util.Set;

/** BitNet b1.58: ternary matrices with a scale each, and norms before the last of each part. */
final class BitNet extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_sub_norm.weight", "ffn_sub_norm.weight");
  }
}
