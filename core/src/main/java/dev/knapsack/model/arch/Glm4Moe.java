package dev.knapsack.model.arch;

import dev.knapsack.model.Gating;
import java.util.Set;

/**
 * GLM 4.5 and after, with experts: a part of each head rotated, and the norm before the MLP named
 * after what it follows.
 */
final class Glm4Moe extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q.bias", "attn_k.bias", "attn_v.bias", "exp_probs_b.bias");
  }

  @Override
  String feedForwardNorm(Header header, int layer) {
    return AFTER_ATTENTION;
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }
}
