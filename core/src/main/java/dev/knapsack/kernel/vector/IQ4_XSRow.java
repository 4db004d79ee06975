package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;

/**
 * Blocks of 256: a half-precision scale, eight 6-bit scales less 32 (upper two bits first, then the
 * lower four), 128 bytes of codes.
 */
final class IQ4_XSRow extends LevelRow {
  private static final int BLOCK = 136;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block);
      int high = w.get(Lanes.I16, block + 2);
      int low = w.get(Lanes.I32, block + 4);
      for (int g = 0; g < 8; g++) {
        int scale = (((low >>> (4 * g)) & 15) | (((high >>> (2 * g)) & 3) << 4)) - 32;
        int at = to + 256 * b + 32 * g;
        group(IQ4, d * scale, w, block + 8 + 16L * g, target, at);
      }
    }
  }
}
