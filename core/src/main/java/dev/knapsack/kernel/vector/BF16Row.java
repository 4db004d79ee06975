package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Rows of bfloat16 numbers. */
final class BF16Row extends RowKernel {
  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    int i = 0;
    for (; i < Lanes.whole(columns); i += Lanes.LENGTH) {
      Lanes.store(Lanes.bfloats(w, offset + 2L * i), target, to + i);
    }
    for (; i < columns; i++) {
      target[to + i] = Lanes.bfloat(w, offset + 2L * i);
    }
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i <= columns - 2 * Lanes.LENGTH; i += 2 * Lanes.LENGTH) {
      long from = offset + 2L * i;
      int at = x + i;
      a = Lanes.bfloats(w, from).fma(Lanes.load(memory, at), a);
      b = Lanes.bfloats(w, from + 2L * Lanes.LENGTH).fma(Lanes.load(memory, at + Lanes.LENGTH), b);
    }
    for (; i <= columns - Lanes.LENGTH; i += Lanes.LENGTH) {
      a = Lanes.bfloats(w, offset + 2L * i).fma(Lanes.load(memory, x + i), a);
    }
    float sum = Lanes.sum(a.add(b));
    for (; i < columns; i++) {
      sum = Math.fma(Lanes.bfloat(w, offset + 2L * i), memory[x + i], sum);
    }
    return sum;
  }
}
