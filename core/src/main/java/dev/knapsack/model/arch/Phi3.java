package dev.knapsack.model.arch;

/**
 * Phi 3 and 4: queries, keys and values in one matrix, gate and up in another, long and short
 * factors of the rotary embedding, and in some a sliding window in all layers.
 */
final class Phi3 extends Family {
  @Override
  boolean fuses() {
    return true;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return true;
  }
}
