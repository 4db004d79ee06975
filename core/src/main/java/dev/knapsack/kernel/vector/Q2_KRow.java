package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Blocks of 256: a 4-bit scale and minimum for each 16 numbers, 64 bytes of codes of 2 bits, and
 * the half-precision scales of both.
 */
final class Q2_KRow extends RowKernel {
  private static final int BLOCK = 84;
  private static final int CODES = 16;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block + 80);
      float dmin = Lanes.half(w, block + 82);
      for (int run = 0; run < 16; run++) {
        // Run r of 16 numbers: bits 2j and 2j + 1 of 16 bytes, j rising every two runs.
        long codes = block + CODES + 32L * (run / 8) + 16L * (run % 2);
        int shift = run / 2 % 4 * 2;
        int both = w.get(ValueLayout.JAVA_BYTE, block + run) & 0xFF;
        FloatVector scale = Lanes.broadcast(d * (both & 15));
        FloatVector min = Lanes.broadcast(dmin * (both >> 4));
        int at = to + 256 * b + 16 * run;
        for (int i = 0; i < 16; i += Lanes.LENGTH) {
          IntVector bits =
              Lanes.unsignedBytes(w, codes + i).lanewise(VectorOperators.LSHR, shift).and(3);
          Lanes.store(Lanes.floats(bits).mul(scale).sub(min), target, at + i);
        }
      }
    }
  }
}
