package dev.knapsack.kernel.vector;

import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Blocks of 32 signed bytes and a float scale, with sums. */
final class Q8ActivationsRow extends RowKernel {
  private static final int BLOCK = Q8Activations.FORMAT.blockBytes();

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.get(w, block + Q8Activations.SCALE));
      for (int i = 0; i < 32; i += Lanes.LENGTH) {
        FloatVector q = Lanes.signedBytes(w, block + i);
        Lanes.store(q.mul(scale), target, to + 32 * b + i);
      }
    }
  }
}
