package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/** The upper 16 bits of a single-precision number; halves round to even, NaN stays (quiet) NaN. */
final class BF16 extends ScalarFormat {
  BF16() {
    super("BF16", 30, Short.BYTES);
  }

  @Override
  float get(MemorySegment source, long offset) {
    return Float.intBitsToFloat(LittleEndian.u16(source, offset) << 16);
  }

  @Override
  void put(MemorySegment target, long offset, float value) {
    int bits = Float.floatToRawIntBits(value);
    int rounded =
        Float.isNaN(value) ? (bits >>> 16) | 0x40 : (bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16;
    LittleEndian.putU16(target, offset, rounded);
  }
}
