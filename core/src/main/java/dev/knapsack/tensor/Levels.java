package dev.knapsack.tensor;

/** The values that the codes of a non-linear format choose from. */
final class Levels {
  /** The 16 levels of {@link IQ4_NL} and {@link IQ4_XS}, rising. */
  static final Levels IQ4 =
      new Levels(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

  /** Twice the values of FP4 (E2M1), by code; the upper eight are the negative ones. */
  static final Levels FP4 = new Levels(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

  private final byte[] values;

  private Levels(int... values) {
    this.values = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      this.values[i] = (byte) values[i];
    }
  }

  byte value(int code) {
    return values[code];
  }
}
