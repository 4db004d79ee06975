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

  /** The activation of a layer without a gate. */
  static double ungated(Activation activation, double x) {
    return switch (activation) {
      case SILU -> x / (1 + Math.exp(-x));
      case GELU -> 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case RELU -> Math.max(x, 0);
      case RELU_SQUARED -> Math.max(x, 0) * Math.max(x, 0);
      case SIGMOID -> 1 / (1 + Math.exp(-x));
      case SOFTPLUS -> Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
      case GPT_OSS -> throw activation.needsGate();
    };
  }

  private static double gated(Activation activation, double g, double u) {
    return switch (activation) {
      case SILU, GELU, RELU, RELU_SQUARED, SIGMOID, SOFTPLUS -> ungated(activation, g) * u;
      case GPT_OSS -> {
        double limited = Math.min(g, 7);
        yield limited / (1 + Math.exp(-1.702 * limited)) * (Math.clamp(u, -7.0, 7.0) + 1);
      }
    };
  }
}
