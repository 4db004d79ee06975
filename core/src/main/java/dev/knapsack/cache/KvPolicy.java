package dev.knapsack.cache;

import java.util.Optional;
import java.util.Set;

/**
 * The choice of the tokens that a sequence's cache keeps, and of their form: asked after each step.
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

  /** Says whether it asks where sentences end: {@link SequenceText#sentenceEnd}. */
  default boolean wantsSentences() {
    return false;
  }

  /** The most that a cache holds after {@link #compress}, and in which form. */
  default KvBounds bounds() {
    return KvBounds.ALL;
  }

  /** The one who looks at steps for it. */
  default StepObserver observer() {
    return StepObserver.NONE;
  }

  /**
   * Says whether it remembers so much of tokens, in {@link CachedHead#scores} or on disk, that a
   * sequence cannot go on without: stores do not keep that.
   */
  default boolean remembers() {
    return false;
  }

  /**
   * The way in which it has tokens read again that it {@linkplain CachedHead#spill moves to disk}.
   */
  default Optional<Retrieval> retrieval() {
    return Optional.empty();
  }

  /** Brings a cache back to what it may hold, after a step. */
  void compress(KvCache cache);
}
