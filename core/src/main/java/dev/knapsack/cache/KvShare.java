package dev.knapsack.cache;

/**
 * The part of a sequence's cache that others pay for, through a {@link PrefixTree}.
 *
 * @param blocks blocks of its beginning
 * @param checkpoints whether the tree keeps checkpoints of its states, so that it has few itself
 */
public record KvShare(int blocks, boolean checkpoints) {
  /** Nothing. */
  public static final KvShare NONE = new KvShare(0, false);

  /** The same with so many blocks. */
  KvShare withBlocks(int value) {
    return new KvShare(value, checkpoints);
  }
}
