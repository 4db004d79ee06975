package dev.knapsack.model.arch;

import dev.knapsack.model.Gating;
import dev.knapsack.model.HeadNorms;
import java.util.Set;

/**
 * MiniMax M2: experts in each layer, a part of each head rotated, and queries and keys normed over
 * all heads together.
 */
final class MiniMaxM2 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight", "exp_probs_b.bias");
  }

  @Override
  HeadNorms headNorms(Header header, int layer) {
    return HeadNorms.TOGETHER;
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }
}
