package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Rows of single-precision numbers. */
final class F32Row extends RowKernel {
  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    MemorySegment.copy(w, Lanes.F32, offset, target, to, columns);
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    FloatVector c = Lanes.zero();
    FloatVector d = Lanes.zero();
    int i = 0;
    for (; i <= columns - 4 * Lanes.LENGTH; i += 4 * Lanes.LENGTH) {
      long at = offset + 4L * i;
      int j = x + i;
      a = Lanes.load(w, at).fma(Lanes.load(memory, j), a);
      b = Lanes.load(w, at + Lanes.BYTES).fma(Lanes.load(memory, j + Lanes.LENGTH), b);
      c = Lanes.load(w, at + 2 * Lanes.BYTES).fma(Lanes.load(memory, j + 2 * Lanes.LENGTH), c);
      d = Lanes.load(w, at + 3 * Lanes.BYTES).fma(Lanes.load(memory, j + 3 * Lanes.LENGTH), d);
    }
    for (; i <= columns - Lanes.LENGTH; i += Lanes.LENGTH) {
      a = Lanes.load(w, offset + 4L * i).fma(Lanes.load(memory, x + i), a);
    }
    float sum = Lanes.sum(a.add(b).add(c.add(d)));
    for (; i < columns; i++) {
      sum = Math.fma(Lanes.get(w, offset + 4L * i), memory[x + i], sum);
    }
    return sum;
  }
}
