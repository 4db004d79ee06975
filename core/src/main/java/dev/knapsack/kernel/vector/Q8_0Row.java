package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Blocks of 32 signed bytes after their half-precision scale. */
final class Q8_0Row extends RowKernel {
  private static final int BLOCK = 34;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block));
      for (int i = 0; i < 32; i += Lanes.LENGTH) {
        FloatVector q = Lanes.signedBytes(w, block + 2 + i);
        Lanes.store(q.mul(scale), target, to + 32 * b + i);
      }
    }
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    FloatVector sum = Lanes.zero();
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      sum = block(w, block + 2, memory, x + 32 * b).fma(Lanes.broadcast(Lanes.half(w, block)), sum);
    }
    return Lanes.sum(sum);
  }

  /** The products of 32 codes and numbers, added to one vector. */
  private static FloatVector block(MemorySegment w, long codes, float[] memory, int at) {
    FloatVector a = Lanes.signedBytes(w, codes).mul(Lanes.load(memory, at));
    for (int i = Lanes.LENGTH; i < 32; i += Lanes.LENGTH) {
      a = Lanes.signedBytes(w, codes + i).fma(Lanes.load(memory, at + i), a);
    }
    return a;
  }
}
