package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvCache;

/** How tokens are divided among layers and heads: the second part of a {@link Recipe}. */
public interface Allocator {
  /** As it is written in a recipe. */
  String name();

  /** The most tokens that any head is given, of a sequence of this length. */
  int most(int tokens);

  /** Tokens that a head may keep. */
  int tokens(KvCache cache, int layer, int kvHead);

  /**
   * The same for all heads.
   *
   * @param tokens that each keeps
   */
  record Uniform(int tokens) implements Allocator {
    public Uniform {
      if (tokens < 1) {
        throw new IllegalArgumentException("A head keeps 1 token or more, not " + tokens);
      }
    }

    @Override
    public String name() {
      return "uniform(" + tokens + ")";
    }

    @Override
    public int most(int length) {
      return Math.min(length, tokens);
    }

    @Override
    public int tokens(KvCache cache, int layer, int kvHead) {
      return tokens;
    }
  }
}
