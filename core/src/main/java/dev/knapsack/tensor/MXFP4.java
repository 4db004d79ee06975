package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in FP4 (E2M1) with a shared power of two, as the OCP Microscaling specification 1.0
 * defines it: {@code 2 · value · 2^(e − 128)}.
 *
 * <p>Block: e (E8M0, one byte), 16 bytes of codes: number i in the low half of byte i, number 16 +
 * i in the high half. Codes are twice the FP4 value, and the scale half the power of two.
 */
final class MXFP4 extends AbstractBlockFormat {
  /** Twice the values of FP4, by code; the upper eight are the negative ones. */
  private static final byte[] VALUES = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /** {@code 2^(e − 128)}; the two smallest are subnormal. */
  static float halfPower(int e) {
    return Float.intBitsToFloat(e < 2 ? 0x0020_0000 << e : (e - 1) << 23);
  }

  MXFP4() {
    super("MXFP4", 39, 32, 17);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 1 + i);
      codes[at + i] = VALUES[q & 0xF];
      codes[at + 16 + i] = VALUES[q >> 4];
    }
    fill(scales, offsets, at, halfPower(LittleEndian.u8(source, offset)), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float largest = Math.abs(extreme(x, 0, 32));
    // The largest FP4 value, 6, has the exponent 2.
    int e = largest == 0 ? 0 : Rounding.clamp(Math.getExponent(largest) - 2 + 127, 0, 254);
    LittleEndian.putU8(target, offset, e);
    float scale = halfPower(e);
    for (int i = 0; i < 16; i++) {
      int low = nearest(x[i], scale);
      int high = nearest(x[16 + i], scale);
      LittleEndian.putU8(target, offset + 1 + i, low | (high << 4));
    }
  }

  /** The code of the nearest value; of two equally near, the first. */
  private static int nearest(float x, float scale) {
    int best = 0;
    float least = Math.abs(x);
    for (int code = 1; code < 16; code++) {
      float error = Math.abs(VALUES[code] * scale - x);
      if (error < least) {
        least = error;
        best = code;
      }
    }
    return best;
  }
}
