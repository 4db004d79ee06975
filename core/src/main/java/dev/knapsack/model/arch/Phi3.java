package dev.knapsack.model.arch;

import dev.knapsack.model.Block;

/**
 * Phi 3 and 4: queries, keys and values in one matrix, gate and up in another, long and short
 * factors of the rotary embedding, and in some a sliding window in all layers.
 */
final class Phi3 extends Family {
  @Override
  boolean fuses(Block block) {
    return true;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return true;
  }
}
