package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * The fast operations on one row of numbers in a format. One small class a format, so that each is
 * compiled by itself.
 *
 * <p>Rows lie in native memory; what they meet lies in the calling thread's scratch memory, a float
 * array whose bounds the compiler checks more cheaply.
 */
abstract class RowKernel {
  /** Decodes {@code columns} numbers, whole blocks, to {@code target}, from index {@code to}. */
  abstract void unpack(MemorySegment w, long offset, float[] target, int to, int columns);

  /**
   * Finds what {@link #dot} wants to know about an x beforehand, once for many rows.
   *
   * @param x where x lies in {@code memory}
   * @param prepared where it may put what it finds: at most {@code columns} floats
   */
  void prepare(float[] memory, int x, int prepared, int columns) {}

  /**
   * The dot product of a row and an x in {@code memory}, in an order that depends on {@code
   * columns} alone.
   *
   * @param prepared what {@link #prepare} left; here, room to decode the row
   */
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    unpack(w, offset, memory, prepared, columns);
    return dot(memory, prepared, x, columns);
  }

  /** The dot product of two runs of numbers. Four sums hide the latency of an addition. */
  static float dot(float[] memory, int y, int x, int columns) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    FloatVector c = Lanes.zero();
    FloatVector d = Lanes.zero();
    int i = 0;
    for (; i <= columns - 4 * Lanes.LENGTH; i += 4 * Lanes.LENGTH) {
      a = Lanes.load(memory, y + i).fma(Lanes.load(memory, x + i), a);
      int j = i + Lanes.LENGTH;
      b = Lanes.load(memory, y + j).fma(Lanes.load(memory, x + j), b);
      j += Lanes.LENGTH;
      c = Lanes.load(memory, y + j).fma(Lanes.load(memory, x + j), c);
      j += Lanes.LENGTH;
      d = Lanes.load(memory, y + j).fma(Lanes.load(memory, x + j), d);
    }
    for (; i <= columns - Lanes.LENGTH; i += Lanes.LENGTH) {
      a = Lanes.load(memory, y + i).fma(Lanes.load(memory, x + i), a);
    }
    float sum = Lanes.sum(a.add(b).add(c.add(d)));
    for (; i < columns; i++) {
      sum = Math.fma(memory[y + i], memory[x + i], sum);
    }
    return sum;
  }

  /**
   * Writes for each group of x a vector whose lanes add up to {@code factor · Σ x} of the group.
   */
  static void sums(float[] memory, int x, int to, int columns, int group, float factor) {
    for (int g = 0; g < columns / group; g++) {
      FloatVector sum = Lanes.zero();
      for (int i = 0; i < group; i += Lanes.LENGTH) {
        sum = sum.add(Lanes.load(memory, x + group * g + i));
      }
      Lanes.store(sum.mul(factor), memory, to + g * Lanes.LENGTH);
    }
  }

  /** Writes for each group of x one number, {@code factor · Σ x} of the group. */
  static void groupSums(float[] memory, int x, int to, int columns, int group, float factor) {
    for (int g = 0; g < columns / group; g++) {
      float sum = 0;
      for (int i = 0; i < group; i++) {
        sum += memory[x + group * g + i];
      }
      memory[to + g] = factor * sum;
    }
  }
}
