package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;

/**
 * The eight 6-bit scales and minima of Q4_K and Q5_K in 12 bytes, as two longs of a byte each.
 *
 * <p>The first four scales and minima are the lower six bits of bytes 0–3 and 4–7; of the others
 * the lower four bits are the halves of bytes 8–11, and the upper two those of bytes 0–3 and 4–7.
 */
final class SixBits {
  private SixBits() {}

  static long scales(MemorySegment w, long at) {
    int first = w.get(Lanes.I32, at);
    int last = w.get(Lanes.I32, at + 8);
    return pack(first & 0x3f3f3f3f, (last & 0x0f0f0f0f) | ((first >>> 2) & 0x30303030));
  }

  static long minima(MemorySegment w, long at) {
    int first = w.get(Lanes.I32, at + 4);
    int last = w.get(Lanes.I32, at + 8);
    return pack(first & 0x3f3f3f3f, ((last >>> 4) & 0x0f0f0f0f) | ((first >>> 2) & 0x30303030));
  }

  private static long pack(int low, int high) {
    return low | ((long) high << 32);
  }

  /** Byte {@code i} of either. */
  static int get(long packed, int i) {
    return (int) (packed >>> (8 * i)) & 0xFF;
  }
}
