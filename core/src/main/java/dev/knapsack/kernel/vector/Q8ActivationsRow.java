package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Blocks of a float scale, two sums, and 32 signed bytes. */
final class Q8ActivationsRow extends RowKernel {
  private static final int BLOCK = 40;
  private static final int CODES = 8;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.get(w, block));
      for (int i = 0; i < 32; i += Lanes.LENGTH) {
        FloatVector q = Lanes.signedBytes(w, block + CODES + i);
        Lanes.store(q.mul(scale), target, to + 32 * b + i);
      }
    }
  }
}
