package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Rows of bfloat16 numbers. */
final class BF16Row extends RowKernel {
  @Override
  void unpack(MemorySegment w, long offset, MemorySegment target, long targetOffset, int columns) {
    int i = 0;
    for (; i < Lanes.whole(columns); i += Lanes.LENGTH) {
      Lanes.store(Lanes.bfloats(w, offset + 2L * i), target, targetOffset + 4L * i);
    }
    for (; i < columns; i++) {
      Lanes.put(target, targetOffset + 4L * i, Lanes.bfloat(w, offset + 2L * i));
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
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i <= columns - 2 * Lanes.LENGTH; i += 2 * Lanes.LENGTH) {
      long at = offset + 2L * i;
      long xAt = xOffset + 4L * i;
      a = Lanes.bfloats(w, at).fma(Lanes.load(x, xAt), a);
      b = Lanes.bfloats(w, at + 2L * Lanes.LENGTH).fma(Lanes.load(x, xAt + Lanes.BYTES), b);
    }
    for (; i <= columns - Lanes.LENGTH; i += Lanes.LENGTH) {
      a = Lanes.bfloats(w, offset + 2L * i).fma(Lanes.load(x, xOffset + 4L * i), a);
    }
    float sum = Lanes.sum(a.add(b));
    for (; i < columns; i++) {
      sum = Math.fma(Lanes.bfloat(w, offset + 2L * i), Lanes.get(x, xOffset + 4L * i), sum);
    }
    return sum;
  }
}
