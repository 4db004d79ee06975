package dev.knapsack.model.arch;

import java.util.Set;

/**
 * GLM 4, from 0414 on: Llama with norms before and after each part, a part of each head rotated,
 * and gate and up in one matrix.
 */
final class Glm4 extends Llama {
  @Override
  Set<String> requiredTensors() {
    return Set.of(AFTER_ATTENTION, AFTER_FEED_FORWARD);
  }
}
