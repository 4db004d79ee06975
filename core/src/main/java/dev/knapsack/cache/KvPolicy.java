package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import java.util.Optional;
import java.util.Set;

/**
 * Which tokens a sequence's cache keeps, and in what form: asked after each step.
 *
 * <p>A policy has no state of a sequence; what it wants to remember of a token is kept by the cache
 * and moves with the token: {@link CachedHead#scores}.
 */
public interface KvPolicy {
  /** Keeps everything. */
  KvPolicy FULL =
      new KvPolicy() {
        @Override
        public String name() {
          return "full";
        }

        @Override
        public int most(int tokens) {
          return tokens;
        }

        @Override
        public void compress(KvCache cache) {}

        @Override
        public String toString() {
          return name();
        }
      };

  /** The recipe as it is written: part of what tells caches apart. */
  String name();

  /** The files beside the model that it goes by and has not been given: without, it cannot work. */
  default Set<Companion<?>> lacks() {
    return Set.of();
  }

  /** The same policy, which has read the files that it {@linkplain #lacks lacked}. */
  default KvPolicy with(Companion.Reader files) {
    return this;
  }

  /**
   * The most tokens that a head holds after {@link #compress} in the layout's formats, of a
   * sequence of {@code tokens} tokens.
   */
  int most(int tokens);

  /** The formats of tokens that count less; empty if all are kept as the layout says. */
  default Optional<Coarse> coarse() {
    return Optional.empty();
  }

  /** The most tokens that a head holds in those, beside the others. */
  default int mostCoarse(int tokens) {
    return 0;
  }

  /**
   * Formats for tokens that count less.
   *
   * @param keys one of {@link dev.knapsack.tensor.Formats#cache()}
   * @param values one of them
   */
  record Coarse(Format keys, Format values) {}

  /**
   * Of how many of a step's last query rows the attention weights are wanted, of a layer without a
   * sliding window: 0 for none, which costs nothing.
   */
  default int weightRows(int layer) {
    return 0;
  }

  /**
   * Whether they are wanted of this head.
   *
   * @param rows of the step, which the head's sequence does not count yet
   */
  default boolean wantsWeights(CachedHead head, int rows) {
    return weightRows(head.layer()) > 0;
  }

  /**
   * Takes in the attention weights of one query row.
   *
   * @param position where the row stands in the sequence
   * @param weights a row for each query head that shares the KV head, a column for each token that
   *     the head holds, this step's included
   */
  default void observe(CachedHead head, int position, Matrix weights) {}

  /**
   * Whether it remembers so much of tokens, in {@link CachedHead#scores}, that a sequence cannot go
   * on without: stores do not keep that.
   */
  default boolean remembers() {
    return false;
  }

  /** How it has tokens read again that it {@linkplain CachedHead#spill moves to disk}. */
  default Optional<Retrieval> retrieval() {
    return Optional.empty();
  }

  /** Brings a cache back to what it may hold, after a step. */
  void compress(KvCache cache);
}
