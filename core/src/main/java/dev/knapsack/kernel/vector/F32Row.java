package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Single precision: nothing to unpack. */
final class F32Row extends RowKernel {
  @Override
  void unpack(MemorySegment w, long offset, MemorySegment target, long targetOffset, int columns) {
    MemorySegment.copy(w, offset, target, targetOffset, (long) columns * Float.BYTES);
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
    return dot(w, offset, x, xOffset, columns);
  }

  /** Four sums side by side hide the latency of an addition. */
  static float dot(MemorySegment w, long offset, MemorySegment x, long xOffset, int columns) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    FloatVector c = Lanes.zero();
    FloatVector d = Lanes.zero();
    int i = 0;
    for (; i <= columns - 4 * Lanes.LENGTH; i += 4 * Lanes.LENGTH) {
      long at = (long) i * Float.BYTES;
      a = Lanes.load(w, offset + at).fma(Lanes.load(x, xOffset + at), a);
      b =
          Lanes.load(w, offset + at + Lanes.BYTES)
              .fma(Lanes.load(x, xOffset + at + Lanes.BYTES), b);
      c =
          Lanes.load(w, offset + at + 2 * Lanes.BYTES)
              .fma(Lanes.load(x, xOffset + at + 2 * Lanes.BYTES), c);
      d =
          Lanes.load(w, offset + at + 3 * Lanes.BYTES)
              .fma(Lanes.load(x, xOffset + at + 3 * Lanes.BYTES), d);
    }
    for (; i <= columns - Lanes.LENGTH; i += Lanes.LENGTH) {
      long at = (long) i * Float.BYTES;
      a = Lanes.load(w, offset + at).fma(Lanes.load(x, xOffset + at), a);
    }
    float sum = Lanes.sum(a.add(b).add(c.add(d)));
    for (; i < columns; i++) {
      long at = (long) i * Float.BYTES;
      sum = Math.fma(Lanes.get(w, offset + at), Lanes.get(x, xOffset + at), sum);
    }
    return sum;
  }
}
