package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvCache;

/**
 * The same for all heads: a share of the prompt's tokens, whose number is known before they are
 * read. Of a sequence without a prompt, a share of all tokens.
 *
 * @param percent of the prompt's tokens that each head keeps
 */
record PromptShare(int percent) implements Allocator {
  PromptShare {
    if (percent < 1 || percent > 100) {
      throw new IllegalArgumentException("A head keeps 1 to 100 percent, not " + percent);
    }
  }

  @Override
  public String name() {
    return "share(" + percent + ")";
  }

  @Override
  public int most(int length) {
    return (int) Math.ceilDiv((long) length * percent, 100);
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    return Math.max(1, most(cache.promptEnd() > 0 ? cache.promptEnd() : cache.length()));
  }
}
