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
    // The target holds the last fit tried.
    double whole = fit(x, range / 3, min, target, offset);
    double narrow = fit(x, NARROW * range / 3, min + cut, target, offset);
    if (whole <= narrow) {
      fit(x, range / 3, min, target, offset);
    }
    float d = LittleEndian.f16(target, offset);
    float m = LittleEndian.f16(target, offset + 2);
    float inverse = Rounding.inverse(d);
    for (int i = 0; i < 8; i++) {
      int a = code(x[i], inverse, m);
      int b = code(x[8 + i], inverse, m);
      int c = code(x[16 + i], inverse, m);
      TwoBitCodes.put(target, offset + 4, i, a, b, c, code(x[24 + i], inverse, m));
    }
  }

  /**
   * Codes the numbers with this scale and minimum, writes the scale and minimum that suit those
   * codes best, and returns the squared error with them.
   */
  private static double fit(float[] x, float d, float m, MemorySegment target, long offset) {
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
      sumXQ += (double) q * x[i];
    }
    int determinant = 32 * sumQ2 - sumQ * sumQ;
    double slope = determinant == 0 ? 0 : (32 * sumXQ - sumQ * sumX) / determinant;
    float fittedMin = (float) ((sumX - slope * sumQ) / 32);
    float scale = LittleEndian.putF16(target, offset, (float) slope);
    float least =
        LittleEndian.putF16(
            target, offset + 2, Math.clamp(fittedMin, -LittleEndian.MAX_F16, LittleEndian.MAX_F16));
    float step = Rounding.inverse(scale);
    double error = 0;
    for (int i = 0; i < 32; i++) {
      double off = x[i] - (code(x[i], step, least) * scale + least);
      error += off * off;
    }
    return error;
  }

  private static int code(float x, float inverse, float m) {
    return Rounding.clamp((int) ((x - m) * inverse + 0.5f), 0, 3);
  }
}
