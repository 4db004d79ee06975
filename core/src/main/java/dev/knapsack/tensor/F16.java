package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/** IEEE 754 half precision: 5 bits of exponent, 10 of fraction; halves round to even. */
final class F16 extends ScalarFormat {
  F16() {
    super("F16", 1, Short.BYTES);
  }

  @Override
  float get(MemorySegment source, long offset) {
    return LittleEndian.f16(source, offset);
  }

  @Override
  void put(MemorySegment target, long offset, float value) {
    LittleEndian.putF16(target, offset, value);
  }
}
