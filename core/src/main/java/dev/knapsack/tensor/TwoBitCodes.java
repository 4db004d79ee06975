package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/** 32 numbers of 2 bits in 8 bytes: bits 2k and 2k + 1 of byte i are number 8k + i. */
final class TwoBitCodes {
  private TwoBitCodes() {}

  /** Number {@code i} of the 32 whose bytes begin at {@code offset}. */
  static int get(MemorySegment source, long offset, int i) {
    return LittleEndian.bits(source, offset, i % 8, i / 8 * 2, 2);
  }

  /** Writes byte {@code i} of 8. */
  static void put(MemorySegment target, long offset, int i, int a, int b, int c, int d) {
    LittleEndian.putU8(target, offset + i, a | (b << 2) | (c << 4) | (d << 6));
  }
}
