package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Xielu;

/** The function of a hidden layer, between its projections. */
public sealed interface Nonlinearity {
  /** Says whether a gate takes part. */
  default boolean isGated() {
    return this instanceof Gated || this instanceof CutOff;
  }

  /** {@code activation(gate(x)) · up(x)}. */
  record Gated(Activation activation) implements Nonlinearity {}

  /**
   * The same, of gates that stand out: those that are not so many standard deviations above the
   * mean of a token's count 0, and the others what they are above that.
   */
  record CutOff(Activation activation, float deviations) implements Nonlinearity {}

  /** {@code activation(up(x))}. */
  record Ungated(Activation activation) implements Nonlinearity {}

  /** {@code curve(up(x))}, of a curve that each layer has its own of. */
  record Curved(Xielu curve) implements Nonlinearity {}
}
