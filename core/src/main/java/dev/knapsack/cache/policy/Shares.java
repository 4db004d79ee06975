package dev.knapsack.cache.policy;

import java.util.Arrays;

/** Tokens that are divided by weight. */
final class Shares {
  /**
   * The part of a token that is added before rounding down, so that what is whole but for the last
   * bit stays so.
   */
  private static final double ROUNDING = 1e-6;

  private Shares() {}

  /**
   * Divides {@code average} tokens for each in proportion to weights. Who would get more than
   * {@code most} gets that, and the others share what is left over.
   *
   * @param weights 0 or more; if all are 0, all get the same
   * @param least what each gets in any case, where the average is not below it
   */
  static int[] divide(double[] weights, int average, int least, int most) {
    int[] each = new int[weights.length];
    if (average >= most) {
      Arrays.fill(each, most);
      return each;
    }
    int base = Math.min(least, average);
    boolean[] full = new boolean[weights.length];
    while (true) {
      long rest = (long) (average - base) * weights.length;
      double sum = 0;
      int open = 0;
      for (int i = 0; i < weights.length; i++) {
        rest -= full[i] ? most - base : 0;
        sum += full[i] ? 0 : weights[i];
        open += full[i] ? 0 : 1;
      }
      boolean more = false;
      for (int i = 0; i < weights.length; i++) {
        double share = sum > 0 ? weights[i] / sum : 1.0 / open;
        if (!full[i] && base + rest * share > most) {
          full[i] = true;
          more = true;
        }
        each[i] = full[i] ? most : (int) (base + rest * share + ROUNDING);
      }
      if (!more) {
        return each;
      }
    }
  }
}
