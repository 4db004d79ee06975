package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;

/** The activation of a gated layer, whose functions a provider need not all have code for. */
@FunctionalInterface
public interface GatedActivation {
  /**
   * {@code out = activation(gate) · up}, element by element, for rows {@code [from, to)}. {@code
   * out} may be {@code gate}.
   */
  void apply(Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to);
}
