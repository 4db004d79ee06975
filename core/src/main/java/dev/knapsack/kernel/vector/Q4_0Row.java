package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

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
  void unpack(MemorySegment w, long offset, MemorySegment target, long targetOffset, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector scale = Lanes.broadcast(Lanes.half(w, block));
      long at = targetOffset + 128L * b;
      for (int i = 0; i < 16; i += Lanes.LENGTH) {
        IntVector bytes = Lanes.unsignedBytes(w, block + 2 + i);
        Lanes.store(low(bytes).sub(8).mul(scale), target, at + 4L * i);
        Lanes.store(high(bytes).sub(8).mul(scale), target, at + 64 + 4L * i);
      }
    }
  }

  @Override
  void prepare(
      MemorySegment x, long xOffset, int columns, MemorySegment scratch, long scratchOffset) {
    for (int b = 0; b < columns / 32; b++) {
      FloatVector sum = Lanes.zero();
      for (int i = 0; i < 32; i += Lanes.LENGTH) {
        sum = sum.add(Lanes.load(x, xOffset + 4L * (32L * b + i)));
      }
      Lanes.store(sum.mul(-8), scratch, scratchOffset + (long) b * Lanes.BYTES);
    }
  }

  @Override
  float dot(
      MemorySegment w,
      long offset,
      MemorySegment x,
      long xOffset,
      int columns,
      MemorySegment scratch,
      long scratchOffset) {
    FloatVector sum = Lanes.zero();
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector start = Lanes.load(scratch, scratchOffset + (long) b * Lanes.BYTES);
      FloatVector products = block(w, block + 2, x, xOffset + 128L * b, start);
      sum = products.fma(Lanes.broadcast(Lanes.half(w, block)), sum);
    }
    return Lanes.sum(sum);
  }

  private static FloatVector block(
      MemorySegment w, long codes, MemorySegment x, long at, FloatVector start) {
    FloatVector a = start;
    for (int i = 0; i < 16; i += Lanes.LENGTH) {
      IntVector bytes = Lanes.unsignedBytes(w, codes + i);
      a = low(bytes).fma(Lanes.load(x, at + 4L * i), a);
      a = high(bytes).fma(Lanes.load(x, at + 64 + 4L * i), a);
    }
    return a;
  }

  private static FloatVector low(IntVector bytes) {
    return Lanes.floats(bytes.and(15));
  }

  private static FloatVector high(IntVector bytes) {
    return Lanes.floats(bytes.lanewise(VectorOperators.LSHR, 4));
  }
}
