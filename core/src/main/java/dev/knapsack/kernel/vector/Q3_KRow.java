package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Blocks of 256: 32 bytes with the third bits of the codes, 64 with the lower two, 16 scales of 6
 * bits less 32 in 12 bytes, and their half-precision scale.
 */
final class Q3_KRow extends RowKernel {
  private static final int BLOCK = 110;
  private static final int CODES = 32;
  private static final int SCALES = 96;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block + 108);
      for (int run = 0; run < 16; run++) {
        // Run r of 16 numbers: bits 2j and 2j + 1 of 16 bytes, j rising every two runs.
        long codes = block + CODES + 32L * (run / 8) + 16L * (run % 2);
        int shift = run / 2 % 4 * 2;
        FloatVector scale = Lanes.broadcast(d * scale(w, block + SCALES, run));
        long third = block + 16L * (run % 2);
        int at = to + 256 * b + 16 * run;
        for (int i = 0; i < 16; i += Lanes.LENGTH) {
          IntVector bits =
              Lanes.unsignedBytes(w, codes + i).lanewise(VectorOperators.LSHR, shift).and(3);
          IntVector top =
              Lanes.unsignedBytes(w, third + i).lanewise(VectorOperators.LSHR, run / 2).and(1);
          IntVector code = bits.or(top.lanewise(VectorOperators.LSHL, 2));
          Lanes.store(Lanes.floats(code).sub(4).mul(scale), target, at + i);
        }
      }
    }
  }

  /** The lower four bits are halves of bytes 0–7, the upper two quarters of bytes 8–11. */
  private static int scale(MemorySegment w, long at, int run) {
    int low = w.get(ValueLayout.JAVA_BYTE, at + run % 8) >> (run / 8 * 4) & 15;
    int high = w.get(ValueLayout.JAVA_BYTE, at + 8 + run % 4) >> (run / 4 * 2) & 3;
    return (low | (high << 4)) - 32;
  }
}
