package dev.knapsack.model;

import java.util.Arrays;

/** Parts of layers that carry states, in the plainest way and in double precision. */
final class NaiveScans {
  private NaiveScans() {}

  static double silu(double x) {
    return x / (1 + Math.exp(-x));
  }

  static double softplus(double x) {
    return Math.log1p(Math.exp(x));
  }

  static double[] norm(double[] x, double[] factors) {
    double squares = Arrays.stream(x).map(d -> d * d).sum() / x.length;
    double[] y = new double[x.length];
    Arrays.setAll(y, i -> x[i] / Math.sqrt(squares + 1e-5) * factors[i]);
    return y;
  }

  /** SiLU of a causal convolution of each channel, at row {@code t}. */
  static double[] convolved(NaiveModel naive, String name, double[][] x, int t) {
    double[] y = naive.row(name + ".bias", 0);
    for (int i = 0; i < y.length; i++) {
      double[] taps = naive.row(name + ".weight", i);
      for (int k = 0; k < taps.length; k++) {
        int from = t - (taps.length - 1) + k;
        y[i] += from < 0 ? 0 : taps[k] * x[from][i];
      }
      y[i] = silu(y[i]);
    }
    return y;
  }
}
