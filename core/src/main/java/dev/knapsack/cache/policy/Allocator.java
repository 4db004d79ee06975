package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.StepObserver;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;

/**
 * The division of tokens among layers and heads: the second part of a {@link Recipe}. It sees the
 * attention weights that the scorer or {@link #moments} ask for.
 */
public interface Allocator extends StepObserver {
  /** The allocator as it is written in a recipe. */
  String name();

  /** See {@link dev.knapsack.cache.KvPolicy#lacks}. */
  default Set<Companion<?>> lacks() {
    return Set.of();
  }

  /** See {@link dev.knapsack.cache.KvPolicy#with}. */
  default Allocator with(Companion.Reader files) {
    return this;
  }

  /** The most tokens that any head is given, of a sequence of this length or a shorter one. */
  int most(int length);

  /** The most tokens that the heads of a layer are given together, of such a sequence. */
  default long together(KvLayout layout, int layer, int length) {
    return (long) layout.heads(layer).kvHeads() * most(length);
  }

  /** The most tokens that all heads of all layers are given, of such a sequence. */
  default long inAll(KvLayout layout, int length) {
    long sum = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      sum += layout.heads(l).seeAll() ? together(layout, l, length) : 0;
    }
    return sum;
  }

  /**
   * The moments that it wants to know of a window's rows and the tokens that they look at; {@link
   * #numbers} are without theirs.
   */
  default Optional<Moments> moments() {
    return Optional.empty();
  }

  /**
   * By layer the part, 0 to 1, that stays as it is of the tokens that heads may keep, where an
   * action keeps as much of others in coarser formats as takes the bytes of the rest.
   */
  default double[] full(KvCache cache) {
    double[] each = new double[cache.layout().layers().size()];
    Arrays.fill(each, 0.5);
    return each;
  }

  /** Tokens that each head of a layer may keep, on average. */
  int tokens(KvCache cache, int layer);

  /** Tokens that each head may keep, on average, of all layers. */
  default int[] tokens(KvCache cache) {
    int[] each = new int[cache.layout().layers().size()];
    Arrays.setAll(each, l -> tokens(cache, l));
    return each;
  }

  /**
   * The tokens that each head of a layer keeps.
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
   * The tokens that each head of a layer keeps, for allocators that know more of the layer than
   * scores.
   */
  default int[] divide(KvCache cache, int layer, int tokens, float[][] scores) {
    return divide(tokens, scores);
  }

  /**
   * The same number of tokens for all heads.
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
