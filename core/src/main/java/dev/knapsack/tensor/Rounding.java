package dev.knapsack.tensor;

/** The two ways in which the block formats round to integers, and clamping. */
final class Rounding {
  private Rounding() {}

  /** The nearest integer; halves go to the even one. NaN gives 0. */
  static int halfEven(float x) {
    return (int) Math.rint(x);
  }

  /**
   * The integer nearest to the exact product; halves go to the even one.
   *
   * <p>Searches for a scale put numbers right on the halves, where a product that had been rounded
   * to float would decide by chance.
   */
  static int halfEven(float x, float y) {
    return (int) Math.rint((double) x * y);
  }

  /** The nearest integer; halves go away from zero. NaN gives 0. */
  static int halfAway(float x) {
    // In double: in float, 0.49999997 + 0.5 is 1.
    return (int) (x + Math.copySign(0.5, x));
  }

  static int clamp(int x, int low, int high) {
    return Math.max(low, Math.min(high, x));
  }

  /** {@code 1 / x}, or 0 for 0. */
  static float inverse(float x) {
    return x == 0 ? 0 : 1 / x;
  }
}
