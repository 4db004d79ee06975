package dev.knapsack.kernel;

import static dev.knapsack.kernel.Floats.get;
import static dev.knapsack.kernel.Floats.put;

import dev.knapsack.tensor.Matrix;

/** The activation of a gated layer by its definition. */
final class ScalarGate implements GatedActivation {
  @Override
  public void apply(Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < gate.columns(); i++) {
        double g = get(gate.data(), gate.rowOffset(t), i);
        double u = get(up.data(), up.rowOffset(t), i);
        put(out.data(), out.rowOffset(t), i, (float) gated(activation, g, u));
      }
    }
  }

  private static double gated(Activation activation, double g, double u) {
    return switch (activation) {
      case SILU -> g / (1 + Math.exp(-g)) * u;
      case GELU ->
          0.5 * g * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g * g * g))) * u;
      case RELU_SQUARED -> Math.max(g, 0) * Math.max(g, 0) * u;
      case SIGMOID -> u / (1 + Math.exp(-g));
      case GPT_OSS -> {
        double limited = Math.min(g, 7);
        yield limited / (1 + Math.exp(-1.702 * limited)) * (Math.clamp(u, -7.0, 7.0) + 1);
      }
    };
  }
}
