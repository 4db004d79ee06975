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
    long block = offset;
    int start = prepared;
    int end = x + columns;
    int at = x;
    while (at != end) {
      FloatVector products = Lanes.load(memory, start);
      for (int i = 0; i < 16; i += Lanes.LENGTH) {
        IntVector bytes = Lanes.unsignedBytes(w, block + 2 + i);
        products = Lanes.low(bytes).fma(Lanes.load(memory, at + i), products);
        products = Lanes.high(bytes).fma(Lanes.load(memory, at + 16 + i), products);
      }
      sum = products.fma(Lanes.broadcast(Lanes.half(w, block)), sum);
      block += BLOCK;
      start += Lanes.LENGTH;
      at += 32;
    }
    return Lanes.sum(sum);
  }
}
