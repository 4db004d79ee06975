package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The rising whole numbers, from −128 to 127, that the codes of a non-linear format choose from.
 */
public final class Levels {
  /** The 16 levels of {@link IQ4_NL} and {@link IQ4_XS}. */
  public static final Levels IQ4 =
      new Levels(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

  private final byte[] values;

  /** For each whole number from −128 on, the code of the last level that is not above it. */
  private final byte[] codes = new byte[256];

  private Levels(int... levels) {
    values = new byte[levels.length];
    for (int code = 0; code < levels.length; code++) {
      values[code] = (byte) levels[code];
      Arrays.fill(codes, levels[code] + 128, codes.length, (byte) code);
    }
  }

  /** The level that a code stands for. */
  public byte value(int code) {
    return values[code];
  }

  /** The code of the nearest level; of two equally near, the upper. */
  int nearest(float x) {
    int last = values.length - 1;
    if (!(x > values[0])) {
      return 0;
    }
    if (x >= values[last]) {
      return last;
    }
    int code = codes[(int) Math.floor(x) + 128];
    return x - values[code] < values[code + 1] - x ? code : code + 1;
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
