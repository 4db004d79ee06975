package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The inner part of a matrix product: three rows by three tokens, nine sums in registers.
 *
 * <p>Rows, and tokens, lie side by side in a float array, a vector of each in turn: so the loop has
 * two addresses to move and few bounds to check, which is what it takes to keep two multipliers
 * busy.
 */
final class Tile {
  static final int ROWS = 3;
  static final int TOKENS = 3;

  /** Floats at the start of the memory, in which one method hands sums to the next. */
  static final int SUMS = ROWS * TOKENS * Lanes.LENGTH;

  private Tile() {}

  /** Columns with what fills up the last vector. */
  static int padded(int columns) {
    return Math.ceilDiv(columns, Lanes.LENGTH) * Lanes.LENGTH;
  }

  /** Copies a row's vectors to every {@code of}-th place from the {@code i}-th; pads with zero. */
  static void spread(float[] memory, int row, int depth, int padded, int at, int i, int of) {
    Arrays.fill(memory, row + depth, row + padded, 0);
    int to = at + i * Lanes.LENGTH;
    int step = of * Lanes.LENGTH;
    for (int c = 0; c < padded; c += Lanes.LENGTH) {
      Lanes.store(Lanes.load(memory, row + c), memory, to);
      to += step;
    }
  }

  /** Leaves the sum for row r and token t in number {@code 3 r + t} of the memory. */
  static void multiply(float[] memory, int w, int x, int vectors) {
    accumulate(memory, w, x, vectors);
    fold(memory);
  }

  /** Leaves the sums lane by lane, one after the other, at the start of the memory. */
  private static void accumulate(float[] memory, int w, int x, int vectors) {
    FloatVector a0 = Lanes.zero();
    FloatVector a1 = Lanes.zero();
    FloatVector a2 = Lanes.zero();
    FloatVector b0 = Lanes.zero();
    FloatVector b1 = Lanes.zero();
    FloatVector b2 = Lanes.zero();
    FloatVector c0 = Lanes.zero();
    FloatVector c1 = Lanes.zero();
    FloatVector c2 = Lanes.zero();
    int end = x + vectors * TOKENS * Lanes.LENGTH;
    int i = w;
    int j = x;
    // Not a loop that the compiler can count: it would unroll it, and run out of registers.
    while (j != end) {
      FloatVector p = Lanes.load(memory, i);
      FloatVector q = Lanes.load(memory, i + Lanes.LENGTH);
      FloatVector s = Lanes.load(memory, i + 2 * Lanes.LENGTH);
      FloatVector v = Lanes.load(memory, j);
      a0 = p.fma(v, a0);
      b0 = q.fma(v, b0);
      c0 = s.fma(v, c0);
      v = Lanes.load(memory, j + Lanes.LENGTH);
      a1 = p.fma(v, a1);
      b1 = q.fma(v, b1);
      c1 = s.fma(v, c1);
      v = Lanes.load(memory, j + 2 * Lanes.LENGTH);
      a2 = p.fma(v, a2);
      b2 = q.fma(v, b2);
      c2 = s.fma(v, c2);
      i += ROWS * Lanes.LENGTH;
      j += TOKENS * Lanes.LENGTH;
    }
    Lanes.store(a0, memory, 0);
    Lanes.store(a1, memory, Lanes.LENGTH);
    Lanes.store(a2, memory, 2 * Lanes.LENGTH);
    Lanes.store(b0, memory, 3 * Lanes.LENGTH);
    Lanes.store(b1, memory, 4 * Lanes.LENGTH);
    Lanes.store(b2, memory, 5 * Lanes.LENGTH);
    Lanes.store(c0, memory, 6 * Lanes.LENGTH);
    Lanes.store(c1, memory, 7 * Lanes.LENGTH);
    Lanes.store(c2, memory, 8 * Lanes.LENGTH);
  }

  /** Adds up the lanes of the nine sums. Apart, as the compiler inlines only so much at a time. */
  private static void fold(float[] memory) {
    for (int i = 0; i < ROWS * TOKENS; i++) {
      memory[i] = Lanes.sum(Lanes.load(memory, i * Lanes.LENGTH));
    }
  }

  /** Adds the sums to the outputs, or begins with them. */
  static void store(
      float[] memory,
      MemorySegment out,
      long outAt,
      long outStride,
      int rows,
      int tokens,
      boolean begin) {
    for (int t = 0; t < tokens; t++) {
      for (int r = 0; r < rows; r++) {
        long at = outAt + t * outStride + (long) r * Float.BYTES;
        float sum = memory[TOKENS * r + t];
        Lanes.put(out, at, begin ? sum : Lanes.get(out, at) + sum);
      }
    }
  }
}
