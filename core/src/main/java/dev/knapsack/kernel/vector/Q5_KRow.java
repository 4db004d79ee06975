package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Blocks of 256: as {@link Q4_KRow}, with 32 bytes before the codes that hold the fifth bits: those
 * of run j of 32 numbers in bit j.
 */
final class Q5_KRow extends RowKernel {
  private static final int BLOCK = 176;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block);
      float dmin = Lanes.half(w, block + 2);
      long scales = SixBits.scales(w, block + 4);
      long minima = SixBits.minima(w, block + 4);
      for (int j = 0; j < 4; j++) {
        int at = to + 256 * b + 64 * j;
        long codes = block + 48 + 32L * j;
        float s0 = d * SixBits.get(scales, 2 * j);
        float s1 = d * SixBits.get(scales, 2 * j + 1);
        float m0 = dmin * SixBits.get(minima, 2 * j);
        float m1 = dmin * SixBits.get(minima, 2 * j + 1);
        for (int i = 0; i < 32; i += Lanes.LENGTH) {
          IntVector bytes = Lanes.unsignedBytes(w, codes + i);
          IntVector fifth =
              Lanes.unsignedBytes(w, block + 16 + i).lanewise(VectorOperators.LSHR, 2 * j);
          IntVector low = Lanes.lowBits(bytes).or(fifth.and(1).lanewise(VectorOperators.LSHL, 4));
          IntVector high = Lanes.highBits(bytes).or(fifth.and(2).lanewise(VectorOperators.LSHL, 3));
          Lanes.store(Lanes.floats(low).mul(s0).sub(m0), target, at + i);
          Lanes.store(Lanes.floats(high).mul(s1).sub(m1), target, at + 32 + i);
        }
      }
    }
  }
}
