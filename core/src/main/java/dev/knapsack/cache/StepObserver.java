package dev.knapsack.cache;

import dev.knapsack.tensor.Matrix;
import java.util.Optional;

/**
 * The part of a {@link KvPolicy} that looks at steps while they are computed, in layers without a
 * sliding window. What it does not want to see costs nothing.
 */
public interface StepObserver {
  /** Looks at nothing. */
  StepObserver NONE = new StepObserver() {};

  /** Of how many of a step's last query rows the attention weights are wanted; 0 for none. */
  default int weightRows(int layer) {
    return 0;
  }

  /**
   * Says whether they are wanted of this head.
   *
   * @param rows of the step, which the head's sequence does not count yet
   */
  default boolean wantsWeights(CachedHead head, int rows) {
    return weightRows(head.layer()) > 0;
  }

  /**
   * Takes in the attention weights of one query row. Heads of a layer may be looked at by several
   * threads at once.
   *
   * @param position where the row stands in the sequence
   * @param weights a row for each query head that shares the KV head, a column for each token that
   *     the head holds, this step's included
   */
  default void observe(CachedHead head, int position, Matrix weights) {}

  /**
   * The most rows that it looks at after the tokens of a step: as queries to come might, they look
   * at what is held, and are forgotten before {@link KvPolicy#compress}. The step computes them
   * beside its own; {@link SequenceText#patch} says which tokens they are.
   */
  default int lookahead() {
    return 0;
  }

  /**
   * Says how many of them it wants after a step of a prompt.
   *
   * @param tokens that the step adds to the sequence
   */
  default int lookahead(KvCache cache, int tokens) {
    return cache.length() + tokens == cache.text().promptEnd() ? lookahead() : 0;
  }

  /** Says whether it looks at steps in this layer, beside attention weights. */
  default boolean looks(int layer) {
    return false;
  }

  /**
   * Says whether it looks at this step.
   *
   * @param rows of the step, which the sequence does not count yet
   */
  default boolean looks(KvCache cache, int layer, int rows) {
    return looks(layer);
  }

  /**
   * Says whether it wants {@link LayerStep#outputNorm} where it looks: that costs as much as the
   * projection of attention's results does.
   */
  default boolean wantsOutputNorms(int layer) {
    return false;
  }

  /** Learned gates that it wants {@link LayerStep#retention} of where it looks. */
  default Optional<RetentionGates> gates() {
    return Optional.empty();
  }

  /**
   * Looks at a step. Heads of a layer may be looked at by several threads at once.
   *
   * @param head without the step's tokens, which come after those that it counts
   */
  default void observe(CachedHead head, LayerStep step) {}

  /** Numbers that it keeps of each head as a whole, for the time that a sequence needs them. */
  default int memory(LayerLayout.Heads heads) {
    return 0;
  }

  /** Numbers that it keeps of each token: {@link CachedHead#scores}. */
  default int numbers(LayerLayout.Heads heads) {
    return 0;
  }
}
