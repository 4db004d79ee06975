package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/** Blocks of a half-precision scale and offset, and 32 codes of 4 bits laid out as in Q4_0. */
final class Q4_1Row extends RowKernel {
  private static final int BLOCK = 20;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block));
      FloatVector start = Lanes.broadcast(Lanes.half(w, block + 2));
      int at = to + 32 * b;
      for (int i = 0; i < 16; i += Lanes.LENGTH) {
        IntVector bytes = Lanes.unsignedBytes(w, block + 4 + i);
        Lanes.store(Lanes.low(bytes).mul(scale).add(start), target, at + i);
        Lanes.store(Lanes.high(bytes).mul(scale).add(start), target, at + 16 + i);
      }
    }
  }
}
