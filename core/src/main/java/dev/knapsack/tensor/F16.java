package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/** IEEE 754 half precision: 5 bits of exponent, 10 of fraction; halves round to even. */
final class F16 extends ScalarFormat {
  private static final int CHUNK = 1024;

  F16() {
    super("F16", 1, Short.BYTES);
  }

  /** Out of an array, from which compilers decode several numbers at a time. */
  @Override
  public void decode(MemorySegment source, long sourceOffset, float[] target, int at, int values) {
    short[] halves = new short[Math.min(values, CHUNK)];
    for (int from = 0; from < values; from += CHUNK) {
      int count = Math.min(CHUNK, values - from);
      long offset = sourceOffset + (long) from * Short.BYTES;
      MemorySegment.copy(source, LittleEndian.SHORT, offset, halves, 0, count);
      for (int i = 0; i < count; i++) {
        target[at + from + i] = Float.float16ToFloat(halves[i]);
      }
    }
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
