package dev.knapsack.cache;

import java.util.Locale;

/**
 * The transform of heads of keys and values before they are cached, and of queries and attention's
 * results so that these stay what they were.
 */
public enum KvTransform {
  /** Nothing. */
  NONE,

  /**
   * Rotated ({@link dev.knapsack.tensor.Hadamard}): a few large channels become many small ones.
   */
  ROTATED,

  /**
   * Channels in the order of their size ({@link dev.knapsack.tensor.ChannelOrder}): those that
   * share a block's scale are alike.
   */
  REORDERED;

  /** The word for heads to which it has been done. */
  String participle() {
    return name().toLowerCase(Locale.ROOT);
  }
}
