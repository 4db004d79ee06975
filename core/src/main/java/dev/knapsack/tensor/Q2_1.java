package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in 2 bits with a minimum: {@code q · d + m}, the form in which KIVI (Liu et al., arXiv
 * 2402.02750) and QJL keep values: groups of 32 along the head, a token at a time.
 *
 * <p>Block: d (F16), m (F16), 8 bytes of codes: bits 2k and 2k + 1 of byte i are number 8k + i.
 *
 * <p>The published methods stretch the four levels from the smallest number to the largest. Of
 * normally distributed numbers that loses 1.6 times what this encoder does: it fits d and m by
 * least squares to the codes of two ranges, the whole one and a narrower one, and takes the better.
 */
final class Q2_1 extends AbstractBlockFormat {
  /** The narrower range as a share of the whole: near the best for the normal distribution. */
  private static final float NARROW = 0.65f;

  Q2_1() {
    super("Q2_1", -1, 32, 12);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 32; i++) {
      codes[at + i] = (byte) TwoBitCodes.get(source, offset + 4, i);
    }
    float d = LittleEndian.f16(source, offset);
    fill(scales, offsets, at, d, LittleEndian.f16(source, offset + 2));
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float min = min(x, 0, 32);
    float range = max(x, 0, 32) - min;
    float cut = (1 - NARROW) / 2 * range;
    int whole = fit(x, range / 3, min);
    int narrow = fit(x, NARROW * range / 3, min + cut);
    int best = error(x, whole) <= error(x, narrow) ? whole : narrow;
    float inverse = Rounding.inverse(scale(best));
    float m = minimum(best);
    LittleEndian.putI32(target, offset, best);
    for (int i = 0; i < 8; i++) {
      int a = code(x[i], inverse, m);
      int b = code(x[8 + i], inverse, m);
      int c = code(x[16 + i], inverse, m);
      TwoBitCodes.put(target, offset + 4, i, a, b, c, code(x[24 + i], inverse, m));
    }
  }

  /**
   * The scale and minimum that suit best the codes which the given ones make: the first four bytes
   * of a block.
   */
  private static int fit(float[] x, float d, float m) {
    float inverse = Rounding.inverse(d);
    int sumQ = 0;
    int sumQ2 = 0;
    double sumX = 0;
    double sumXQ = 0;
    for (int i = 0; i < 32; i++) {
      int q = code(x[i], inverse, m);
      sumQ += q;
      sumQ2 += q * q;
      sumX += x[i];
      sumXQ += q * x[i];
    }
    int determinant = 32 * sumQ2 - sumQ * sumQ;
    double scale = determinant == 0 ? 0 : (32 * sumXQ - sumQ * sumX) / determinant;
    float least = (float) ((sumX - scale * sumQ) / 32);
    least = Math.clamp(least, -LittleEndian.MAX_F16, LittleEndian.MAX_F16);
    return (Float.floatToFloat16((float) scale) & 0xFFFF) | (Float.floatToFloat16(least) << 16);
  }

  private static float error(float[] x, int fitted) {
    float d = scale(fitted);
    float m = minimum(fitted);
    float inverse = Rounding.inverse(d);
    float error = 0;
    for (int i = 0; i < 32; i++) {
      float off = x[i] - (code(x[i], inverse, m) * d + m);
      error += off * off;
    }
    return error;
  }

  private static float scale(int fitted) {
    return Float.float16ToFloat((short) fitted);
  }

  private static float minimum(int fitted) {
    return Float.float16ToFloat((short) (fitted >> 16));
  }

  private static int code(float x, float inverse, float m) {
    return Rounding.clamp((int) ((x - m) * inverse + 0.5f), 0, 3);
  }
}
