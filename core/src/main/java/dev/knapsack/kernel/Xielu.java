package dev.knapsack.kernel;

/**
 * The activation xIELU, for layers without a gate: {@code positive · x² + beta · x} above 0, and
 * {@code negative · (e^min(x, limit) − 1 − x) + beta · x} else.
 *
 * @param limit just below 0
 */
public record Xielu(float positive, float negative, float beta, float limit) {
  /** The curve at {@code x}. */
  double at(double x) {
    double bent = x > 0 ? positive * x * x : negative * (Math.expm1(Math.min(x, limit)) - x);
    return bent + beta * x;
  }
}
