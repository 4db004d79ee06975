package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;

/** Blocks of a half-precision scale and 32 codes of 4 bits. */
final class IQ4_NLRow extends LevelRow {
  private static final int BLOCK = 18;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 32; b++) {
      long block = offset + (long) b * BLOCK;
      group(IQ4, Lanes.half(w, block), w, block + 2, target, to + 32 * b);
    }
  }
}
