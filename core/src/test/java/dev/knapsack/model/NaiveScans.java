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

  /**
   * A selective scan (Gu and Dao, arXiv 2312.00752, algorithm 2) of rows that begin empty, with a
   * convolution before.
   *
   * @param p before the names of {@code conv1d}, {@code x}, {@code dt}, {@code a} and {@code d}
   */
  static double[][] selective(NaiveModel naive, String p, double[][] rows, int rank, int state) {
    int inner = rows[0].length;
    double[][] h = new double[inner][state];
    double[][] y = new double[rows.length][inner];
    for (int t = 0; t < rows.length; t++) {
      double[] x = convolved(naive, p + "conv1d", rows, t);
      double[] selected = naive.product(p + "x.weight", x, 0);
      double[] step = naive.biased(p + "dt", Arrays.copyOf(selected, rank));
      for (int i = 0; i < inner; i++) {
        double length = softplus(step[i]);
        double[] a = naive.row(p + "a", i);
        for (int n = 0; n < state; n++) {
          h[i][n] = Math.exp(length * a[n]) * h[i][n] + length * selected[rank + n] * x[i];
          y[t][i] += selected[rank + state + n] * h[i][n];
        }
        y[t][i] += naive.row(p + "d", 0)[i] * x[i];
      }
    }
    return y;
  }
}
