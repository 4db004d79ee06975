package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in any number of bits from 1 to 8 with a minimum, bit by bit: {@code q · d + m}.
 *
 * <p>Block: d (F16), m (F16), then a plane of 32 bits for each bit of the codes, the lowest first:
 * bit i of plane k is bit k of number i's code.
 *
 * <p>d and m are fitted by least squares to the codes of the whole range and of narrower ones,
 * which clip a few numbers: with few bits that loses less.
 */
final class Planes extends AbstractBlockFormat {
  private static final int CODES = 4;

  /** Ranges that are tried. */
  private static final int RANGES = 8;

  private final int bits;

  Planes(int bits) {
    super("P" + bits, -1, 32, CODES + Integer.BYTES * bits);
    this.bits = bits;
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    // Unpacked codes are signed: the highest of 8 bits is theirs too.
    int less = bits == 8 ? 128 : 0;
    for (int i = 0; i < 32; i++) {
      int q = 0;
      for (int k = 0; k < bits; k++) {
        q |= LittleEndian.bits(source, offset, CODES + 4 * k + i / 8, i % 8, 1) << k;
      }
      codes[at + i] = (byte) (q - less);
    }
    float d = LittleEndian.f16(source, offset);
    fill(scales, offsets, at, d, LittleEndian.f16(source, offset + 2) + less * d);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    int top = (1 << bits) - 1;
    float min = min(x, 0, 32);
    float range = max(x, 0, 32) - min;
    int best = 0;
    double least = Double.POSITIVE_INFINITY;
    for (int t = 0; t < RANGES; t++) {
      double error = tryRange(x, top, min, range, t, target, offset);
      if (error < least) {
        least = error;
        best = t;
      }
    }
    tryRange(x, top, min, range, best, target, offset);
    float m = LittleEndian.f16(target, offset + 2);
    float inverse = Rounding.inverse(LittleEndian.f16(target, offset));
    int[] planes = new int[bits];
    for (int i = 0; i < 32; i++) {
      int q = code(x[i], inverse, m, top);
      for (int k = 0; k < bits; k++) {
        planes[k] |= (q >> k & 1) << i;
      }
    }
    for (int k = 0; k < bits; k++) {
      LittleEndian.putI32(target, offset + CODES + 4L * k, planes[k]);
    }
  }

  /** Fits to the range less {@code t} twentieths on either side. */
  private static double tryRange(
      float[] x, int top, float min, float range, int t, MemorySegment target, long offset) {
    float cut = range * t / 20;
    return fit(x, top, (range - 2 * cut) / top, min + cut, target, offset);
  }

  /**
   * Codes the numbers with this scale and minimum, writes the scale and minimum that suit those
   * codes best, as two half-precision numbers, and returns the squared error with them.
   *
   * @param top the largest code
   */
  private static double fit(
      float[] x, int top, float d, float m, MemorySegment target, long offset) {
    float inverse = Rounding.inverse(d);
    int sumQ = 0;
    int sumQ2 = 0;
    double sumX = 0;
    double sumXQ = 0;
    for (int i = 0; i < 32; i++) {
      int q = code(x[i], inverse, m, top);
      sumQ += q;
      sumQ2 += q * q;
      sumX += x[i];
      sumXQ += (double) q * x[i];
    }
    int determinant = 32 * sumQ2 - sumQ * sumQ;
    double slope = determinant == 0 ? 0 : (32 * sumXQ - sumQ * sumX) / determinant;
    slope = Math.min(slope, LittleEndian.MAX_F16);
    float fittedMin = (float) ((sumX - slope * sumQ) / 32);
    float scale = LittleEndian.putF16(target, offset, (float) slope);
    float least =
        LittleEndian.putF16(
            target, offset + 2, Math.clamp(fittedMin, -LittleEndian.MAX_F16, LittleEndian.MAX_F16));
    float step = Rounding.inverse(scale);
    double error = 0;
    for (int i = 0; i < 32; i++) {
      double off = x[i] - (code(x[i], step, least, top) * scale + least);
      error += off * off;
    }
    return error;
  }

  private static int code(float x, float inverse, float m, int top) {
    return Rounding.clamp((int) ((x - m) * inverse + 0.5f), 0, top);
  }
}
