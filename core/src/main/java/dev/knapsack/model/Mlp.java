package dev.knapsack.model;

import dev.knapsack.kernel.Activation;

/** The feed-forward part of a layer: one block, or a choice of experts. */
public sealed interface Mlp {
  /** Numbers in the hidden layer (of one expert). */
  int width();

  Activation activation();

  /** One block: {@code down(activation(gate(x)) · up(x))}. */
  record Dense(int width, Activation activation) implements Mlp {}

  /**
   * A router chooses {@code used} of {@code count} experts for each token.
   *
   * @param normalise whether the chosen weights are divided by their sum
   * @param softmaxLast whether the softmax is over the chosen logits only (gpt-oss) and not over
   *     all
   * @param scale factor on the chosen weights
   * @param sharedWidth numbers in the hidden layer of the expert that every token uses; 0 for none
   */
  record Experts(
      int count,
      int used,
      int width,
      Activation activation,
      boolean normalise,
      boolean softmaxLast,
      float scale,
      int sharedWidth)
      implements Mlp {}
}
