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
    long block = offset;
    int end = x + columns;
    int at = x;
    while (at != end) {
      FloatVector products = Lanes.signedBytes(w, block + 2).mul(Lanes.load(memory, at));
      for (int i = Lanes.LENGTH; i < 32; i += Lanes.LENGTH) {
        FloatVector q = Lanes.signedBytes(w, block + 2 + i);
        products = q.fma(Lanes.load(memory, at + i), products);
      }
      sum = products.fma(Lanes.broadcast(Lanes.half(w, block)), sum);
      block += BLOCK;
      at += 32;
    }
    return Lanes.sum(sum);
  }
}
