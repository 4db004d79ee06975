package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import java.util.Arrays;
import java.util.Set;

/** How tokens are divided among layers and heads: the second part of a {@link Recipe}. */
public interface Allocator {
  /** As it is written in a recipe. */
  String name();

  /** See {@link dev.knapsack.cache.KvPolicy#lacks}. */
  default Set<Companion<?>> lacks() {
    return Set.of();
  }

  /** See {@link dev.knapsack.cache.KvPolicy#with}. */
  default Allocator with(Companion.Reader files) {
    return this;
  }

  /** The most tokens that any head is given, of a sequence of this length. */
  int most(int tokens);

  /** Tokens that each head of a layer may keep, on average. */
  int tokens(KvCache cache, int layer);

  /**
   * How many each head of a layer keeps.
   *
   * @param tokens that each may keep on average, as {@link #tokens} says
   * @param scores of the tokens of each head
   */
  default int[] divide(int tokens, float[][] scores) {
    int[] each = new int[scores.length];
    Arrays.setAll(each, h -> Math.min(tokens, scores[h].length));
    return each;
  }

  /**
   * The same for all heads.
   *
   * @param tokens that each keeps
   */
  record Uniform(Size tokens) implements Allocator {
    public Uniform {
      tokens.positive();
    }

    @Override
    public String name() {
      return "uniform(" + tokens + ")";
    }

    @Override
    public int most(int length) {
      return Math.min(length, tokens.most(length));
    }

    @Override
    public int tokens(KvCache cache, int layer) {
      return tokens.tokens(cache);
    }
  }
}
