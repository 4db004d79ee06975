package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;

/**
 * Rows of half-precision numbers. The Vector API cannot convert them; the compiler, given this
 * loop, can, so a row is decoded before it is multiplied.
 */
final class F16Row extends RowKernel {
  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    MemorySegment row = w.asSlice(offset, 2L * columns);
    for (int i = 0; i < columns; i++) {
      target[to + i] = Float.float16ToFloat(row.get(Lanes.I16, 2L * i));
    }
  }
}
