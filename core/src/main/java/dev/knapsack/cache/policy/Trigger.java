package dev.knapsack.cache.policy;

/** When a cache is brought back to its size: the fourth part of a {@link Recipe}. */
public sealed interface Trigger {
  /** As it is written in a recipe. */
  String name();

  /** By how many tokens a head may pass what it keeps, before it is brought back. */
  int slack();

  /** Whether it is time, for a head that holds so many tokens more than it keeps. */
  boolean due(int surplus, boolean promptRead);

  /**
   * Whenever a head holds a block more than it keeps, while the prompt is read too: so that the
   * cache never grows past that and one step.
   *
   * @param tokens of a block
   */
  record Block(int tokens) implements Trigger {
    public Block {
      if (tokens < 1) {
        throw new IllegalArgumentException("A block has 1 token or more, not " + tokens);
      }
    }

    @Override
    public String name() {
      return "block(" + tokens + ")";
    }

    @Override
    public int slack() {
      return tokens - 1;
    }

    @Override
    public boolean due(int surplus, boolean promptRead) {
      return surplus >= tokens;
    }
  }
}
