package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Blocks of a half-precision scale and 16 bytes: number i in the low half of byte i, number 16 + i
 * in the high half, both less 8.
 *
 * <p>The 8 costs nothing in {@link #dot}: the sum of a block's products begins with {@code −8 · Σ
 * x}, lane by lane, which is the same for all rows.
 */
final class Q4_0Row extends RowKernel {
  private static final int BLOCK = 18;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block));
      int at = to + 32 * b;
      for (int i = 0; i < 16; i += Lanes.LENGTH) {
        IntVector bytes = Lanes.unsignedBytes(w, block + 2 + i);
        Lanes.store(Lanes.low(bytes).sub(8).mul(scale), target, at + i);
        Lanes.store(Lanes.high(bytes).sub(8).mul(scale), target, at + 16 + i);
      }
    }
  }

  @Override
  void prepare(float[] memory, int x, int prepared, int columns) {
    sums(memory, x, prepared, columns, 32, -8);
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    FloatVector sum = Lanes.zero();
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector start = Lanes.load(memory, prepared + b * Lanes.LENGTH);
      FloatVector products = block(w, block + 2, memory, x + 32 * b, start);
      sum = products.fma(Lanes.broadcast(Lanes.half(w, block)), sum);
    }
    return Lanes.sum(sum);
  }

  private static FloatVector block(
      MemorySegment w, long codes, float[] memory, int at, FloatVector start) {
    FloatVector a = start;
    for (int i = 0; i < 16; i += Lanes.LENGTH) {
      IntVector bytes = Lanes.unsignedBytes(w, codes + i);
      a = Lanes.low(bytes).fma(Lanes.load(memory, at + i), a);
      a = Lanes.high(bytes).fma(Lanes.load(memory, at + 16 + i), a);
    }
    return a;
  }
}
