package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.Companion;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvBounds;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.Retrieval;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.tensor.Format;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * The fate of tokens that are not kept: the third part of a {@link Recipe}. Its numbers of a head
 * are the last of {@link CachedHead#memory()}, the scorer's the first.
 */
public interface Action extends StepObserver {
  /** The action as it is written in a recipe. */
  String name();

  /** See {@link KvPolicy#lacks}. */
  default Set<Companion<?>> lacks() {
    return Set.of();
  }

  /** See {@link KvPolicy#with}. */
  default Action with(Companion.Reader files) {
    return this;
  }

  /** See {@link KvBounds#bases}. */
  default Optional<HeadBases> bases() {
    return Optional.empty();
  }

  /**
   * Brings a head to the tokens it keeps.
   *
   * @param kept places of tokens, ascending, none of which is in coarser formats
   */
  void apply(CachedHead head, int[] kept);

  /**
   * Brings a head to the tokens that it may have in memory.
   *
   * @param tokens how many
   * @param scores of those that are not in coarser formats: the best stay
   */
  default void apply(CachedHead head, int tokens, float[] scores) {
    if (tokens < scores.length) {
      int[] places = Recipe.best(scores, tokens);
      Arrays.setAll(places, i -> places[i] + head.coarse());
      apply(head, places);
    }
  }

  /**
   * Brings a head to the tokens that it may have in memory, for actions that say how many of those
   * stay as they are.
   *
   * @param full which part of them, 0 to 1
   * @param scores of all tokens, if it {@linkplain #forgetsCoarse forgets coarse ones} too
   */
  default void apply(CachedHead head, int tokens, double full, float[] scores) {
    apply(head, tokens, scores);
  }

  /** Says whether tokens in coarser formats go, too, when there is no room for them. */
  default boolean forgetsCoarse() {
    return false;
  }

  /** As how many of the tokens that a head may have in memory those in coarser formats count. */
  default int counted(int coarse) {
    return 0;
  }

  /**
   * The most tokens of a head in coarser formats.
   *
   * @param kept the most tokens that it may have in memory
   * @param tokens of the sequence
   */
  default int mostCoarse(int kept, int tokens) {
    return coarse().isPresent() ? tokens : 0;
  }

  /** The way in which tokens that it moves to disk are read again. */
  default Optional<Retrieval> retrieval() {
    return Optional.empty();
  }

  /** See {@link KvPolicy#wantsSentences}. */
  default boolean wantsSentences() {
    return false;
  }

  /** The form of what is not kept and not forgotten either. */
  default Optional<CoarseForm> coarse() {
    return Optional.empty();
  }

  /** The tokens that are neither kept as they are nor in coarser formats already. */
  static int[] others(CachedHead head, int[] kept) {
    return IntStream.range(head.coarse(), head.count())
        .filter(i -> Arrays.binarySearch(kept, i) < 0)
        .toArray();
  }

  /**
   * Keeps such tokens in formats of fewer bits (as in Liu et al., arXiv 2402.02750, and Hooper et
   * al., arXiv 2401.18079, which keep first and recent tokens in full precision).
   *
   * @param keys format of keys
   * @param values format of values
   */
  record Quantise(Format keys, Format values) implements Action {
    @Override
    public String name() {
      String key = keys.name().toLowerCase(Locale.ROOT);
      String value = values.name().toLowerCase(Locale.ROOT);
      return key.equals(value)
          ? "quantise(" + key + ")"
          : "quantise(k=%s,v=%s)".formatted(key, value);
    }

    @Override
    public Optional<CoarseForm> coarse() {
      return Optional.of(new CoarseForm(keys, values));
    }

    @Override
    public void apply(CachedHead head, int[] kept) {
      head.requantise(Action.others(head, kept));
    }
  }

  /** Forgets such tokens, and frees their pages. */
  Action EVICT =
      new Action() {
        @Override
        public String name() {
          return "evict";
        }

        @Override
        public void apply(CachedHead head, int[] kept) {
          head.keep(kept);
        }
      };
}
