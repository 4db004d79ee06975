package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

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

  /** The code of the nearest of rising levels; of two equally near, the upper. */
  int nearest(float x) {
    int code = 0;
    while (code < values.length - 1 && x - values[code] >= values[code + 1] - x) {
      code++;
    }
    return code;
  }

  /**
   * The scale with which {@code x[from, to)} loses least, errors weighed by the squared number: the
   * best of 16 near the one that maps the largest number to the first level, each corrected by
   * least squares.
   */
  float scale(float[] x, int from, int to) {
    float largest = AbstractBlockFormat.extreme(x, from, to);
    if (Math.abs(largest) < GroupSearch.NOTHING) {
      return 0;
    }
    float scale = 0;
    float best = 0;
    for (int t = 0; t < 32; t++) {
      // The first trial maps the largest number to the mirror image of the first level.
      float inverse = t < 2 ? 1 / (-largest / values[0]) : (t / 2 - 8 + values[0]) / largest;
      int sign = t % 2 == 0 ? 1 : -1;
      float sumXQ = 0;
      float sumQ2 = 0;
      for (int i = from; i < to; i++) {
        int q = values[nearest(sign * inverse * x[i])];
        float w = x[i] * x[i];
        sumXQ += w * q * x[i];
        sumQ2 += w * q * q;
      }
      if (sumQ2 > 0 && (t == 0 || sumXQ * sumXQ > best * sumQ2)) {
        scale = sumXQ / sumQ2;
        best = scale * sumXQ;
      }
    }
    return scale;
  }

  /**
   * Packs the codes of {@code x[from, from + 32) · inverse} into 16 bytes: number i in the low half
   * of byte i, number 16 + i in the high half.
   */
  void pack(float[] x, int from, float inverse, MemorySegment target, long offset) {
    for (int i = 0; i < 16; i++) {
      int low = nearest(x[from + i] * inverse);
      int high = nearest(x[from + 16 + i] * inverse);
      LittleEndian.putU8(target, offset + i, low | (high << 4));
    }
  }
}
