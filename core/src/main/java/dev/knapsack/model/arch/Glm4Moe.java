package dev.knapsack.model.arch;

import dev.knapsack.model.Gating;

/**
 * GLM 4.5 and after, with experts: a part of each head rotated, and the norm before the MLP named
 * after what it follows.
 */
final class Glm4Moe extends Family {
  @Override
  String feedForwardNorm(Header header, int layer) {
    return AFTER_ATTENTION;
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }
}
