package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/** IEEE 754 single precision, as it is. */
final class F32 extends ScalarFormat {
  F32() {
    super("F32", 0, Float.BYTES);
  }

  @Override
  public void decode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    MemorySegment.copy(source, sourceOffset, target, targetOffset, bytes(values));
  }

  @Override
  public void encode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    MemorySegment.copy(source, sourceOffset, target, targetOffset, bytes(values));
  }

  @Override
  public void decode(MemorySegment source, long sourceOffset, float[] target, int at, int values) {
    MemorySegment.copy(source, LittleEndian.FLOAT, sourceOffset, target, at, values);
  }

  @Override
  float get(MemorySegment source, long offset) {
    return LittleEndian.f32(source, offset);
  }

  @Override
  void put(MemorySegment target, long offset, float value) {
    LittleEndian.putF32(target, offset, value);
  }
}
