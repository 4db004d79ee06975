package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Blocks of 128 signs and a half-precision scale. */
final class Q1_0Row extends RowKernel {
  private static final int BLOCK = 18;
  private static final int SIGNS = 2;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 128; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block));
      for (int word = 0; word < 4; word++) {
        int bits = w.get(Lanes.I32, block + SIGNS + 4L * word);
        int at = to + 128 * b + 32 * word;
        for (int i = 0; i < 32; i += Lanes.LENGTH) {
          // A bit twice as large, less 1, is a sign.
          FloatVector sign = Lanes.floats(Lanes.bits(bits >>> i, 1)).sub(1);
          Lanes.store(sign.mul(scale), target, at + i);
        }
      }
    }
  }
}
