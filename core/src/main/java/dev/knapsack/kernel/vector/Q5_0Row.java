package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Blocks of a half-precision scale, the fifth bits of 32 codes, and their lower four laid out as in
 * Q4_0.
 */
final class Q5_0Row extends RowKernel {
  private static final int BLOCK = 22;
  private static final int FIFTH = 2;
  private static final int CODES = 6;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block));
      int fifth = w.get(Lanes.I32, block + FIFTH);
      int at = to + 32 * b;
      for (int i = 0; i < 16; i += Lanes.LENGTH) {
        IntVector bytes = Lanes.unsignedBytes(w, block + CODES + i);
        FloatVector low = Lanes.floats(Lanes.lowBits(bytes).or(Lanes.bits(fifth >>> i, 4)));
        FloatVector high =
            Lanes.floats(Lanes.highBits(bytes).or(Lanes.bits(fifth >>> (16 + i), 4)));
        Lanes.store(low.sub(16).mul(scale), target, at + i);
        Lanes.store(high.sub(16).mul(scale), target, at + 16 + i);
      }
    }
  }
}
