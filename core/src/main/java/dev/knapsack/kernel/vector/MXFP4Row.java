package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Blocks of a power of two (E8M0) and 32 codes of 4 bits (OCP Microscaling Formats 1.0). */
final class MXFP4Row extends LevelRow {
  private static final int BLOCK = 17;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      float scale = halfPower(w.get(ValueLayout.JAVA_BYTE, block) & 0xFF);
      group(FP4, scale, w, block + 1, target, to + 32 * b);
    }
  }

  /** {@code 2^(exponent − 128)}: half the power, as the levels are doubled. */
  private static float halfPower(int exponent) {
    int bits = exponent < 2 ? 0x00200000 << exponent : (exponent - 1) << 23;
    return Float.intBitsToFloat(bits);
  }
}
