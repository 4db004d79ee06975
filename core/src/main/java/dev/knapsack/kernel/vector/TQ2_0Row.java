package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** Blocks of 256 codes of 2 bits, less 1, and a half-precision scale. */
final class TQ2_0Row extends RowKernel {
  private static final int BLOCK = 66;
  private static final int CODES = 0;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block + 64));
      for (int run = 0; run < 16; run++) {
        // Run r of 16 numbers: bits 2j and 2j + 1 of 16 bytes, j rising every two runs.
        long codes = block + CODES + 32L * (run / 8) + 16L * (run % 2);
        int shift = run / 2 % 4 * 2;
        int at = to + 256 * b + 16 * run;
        for (int i = 0; i < 16; i += Lanes.LENGTH) {
          IntVector bits =
              Lanes.unsignedBytes(w, codes + i).lanewise(VectorOperators.LSHR, shift).and(3);
          Lanes.store(Lanes.floats(bits).sub(1).mul(scale), target, at + i);
        }
      }
    }
  }
}
