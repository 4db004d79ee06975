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
      case GELU_ERF -> 0.5 * x * erfc(-x / Math.sqrt(2));
      case TANH -> Math.tanh(x);
      case RELU -> Math.max(x, 0);
      case RELU_SQUARED -> Math.max(x, 0) * Math.max(x, 0);
      case SIGMOID -> 1 / (1 + Math.exp(-x));
      case SOFTPLUS -> Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
      case GPT_OSS -> throw activation.needsGate();
    };
  }

  /**
   * {@code 1 − erf(x)}: near 0 by a series (Abramowitz and Stegun, Handbook of Mathematical
   * Functions, 7.1.6), further out by a continued fraction (7.1.14).
   */
  static double erfc(double x) {
    double z = Math.abs(x);
    double tail;
    if (z < 2.5) {
      double term = z;
      double sum = z;
      for (int n = 1; term > sum * 1e-17; n++) {
        term *= 2 * z * z / (2 * n + 1);
        sum += term;
      }
      tail = 1 - 2 / Math.sqrt(Math.PI) * Math.exp(-z * z) * sum;
    } else {
      double fraction = z;
      for (int n = 60; n > 0; n--) {
        fraction = z + n / 2.0 / fraction;
      }
      tail = Math.exp(-z * z) / Math.sqrt(Math.PI) / fraction;
    }
    return x < 0 ? 2 - tail : tail;
  }

  private static double gated(Activation activation, double g, double u) {
    return switch (activation) {
      case SILU, GELU, GELU_ERF, TANH, RELU, RELU_SQUARED, SIGMOID, SOFTPLUS ->
          ungated(activation, g) * u;
      case GPT_OSS -> {
        double limited = Math.min(g, 7);
        yield limited / (1 + Math.exp(-1.702 * limited)) * (Math.clamp(u, -7.0, 7.0) + 1);
      }
    };
  }
}
