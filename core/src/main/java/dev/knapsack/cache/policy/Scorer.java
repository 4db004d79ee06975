package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.StepObserver;
import java.util.Optional;
import java.util.Set;

/**
 * The measure of which tokens matter: the first of the four parts of a {@link Recipe}. It sees of
 * steps what it wants to, at the time that the trigger says.
 */
public interface Scorer extends StepObserver {
  /** The scorer as it is written in a recipe. */
  String name();

  /** See {@link dev.knapsack.cache.KvPolicy#lacks}. */
  default Set<Companion<?>> lacks() {
    return Set.of();
  }

  /** See {@link dev.knapsack.cache.KvPolicy#with}. */
  default Scorer with(Companion.Reader files) {
    return this;
  }

  /** Says whether rows of an answer count, beside those of prompts. */
  default boolean countsAnswer() {
    return true;
  }

  /**
   * The moments that it wants to know of a window's rows and the tokens that they look at; {@link
   * #numbers} are without theirs.
   */
  default Optional<Moments> moments() {
    return Optional.empty();
  }

  /** See {@link dev.knapsack.cache.KvPolicy#remembers}. */
  default boolean remembers() {
    return false;
  }

  /**
   * Says how much each token of a head matters; more is more.
   *
   * @param out receives a number for each of the head's tokens; {@link Float#POSITIVE_INFINITY} for
   *     those that must stay
   */
  void score(CachedHead head, float[] out);

  /**
   * Says how much each token of a head matters, for scorers that ask how many are kept.
   *
   * @param keep tokens that a head of the layer keeps on average
   */
  default void score(CachedHead head, int keep, float[] out) {
    score(head, out);
  }

  /**
   * StreamingLLM (Xiao et al., arXiv 2309.17453): the first tokens, which attention falls back on,
   * and then the later the better.
   *
   * @param sinks first tokens that stay
   */
  record Streaming(int sinks) implements Scorer {
    public Streaming {
      if (sinks < 0) {
        throw new IllegalArgumentException("0 or more sinks, not " + sinks);
      }
    }

    @Override
    public String name() {
      return "streaming(" + sinks + ")";
    }

    @Override
    public void score(CachedHead head, float[] out) {
      for (int i = 0; i < head.count(); i++) {
        int position = head.position(i);
        out[i] = position < sinks ? Float.POSITIVE_INFINITY : position;
      }
    }
  }
}
