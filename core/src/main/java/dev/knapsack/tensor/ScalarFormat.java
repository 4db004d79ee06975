package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/** A format that stores each number by itself: blocks of one. */
abstract class ScalarFormat implements Format {
  private final String name;
  private final int ggufType;
  private final int bytes;

  ScalarFormat(String name, int ggufType, int bytes) {
    this.name = name;
    this.ggufType = ggufType;
    this.bytes = bytes;
  }

  abstract float get(MemorySegment source, long offset);

  abstract void put(MemorySegment target, long offset, float value);

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final int ggufType() {
    return ggufType;
  }

  @Override
  public final int blockValues() {
    return 1;
  }

  @Override
  public final int blockBytes() {
    return bytes;
  }

  /** Without the divisions of blocks: rows of activations ask for this all the time. */
  @Override
  public final long bytes(long values) {
    return Math.multiplyExact(values, (long) bytes);
  }

  @Override
  public void decode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    for (long i = 0; i < values; i++) {
      float value = get(source, sourceOffset + i * bytes);
      LittleEndian.putF32(target, targetOffset + i * Float.BYTES, value);
    }
  }

  @Override
  public void encode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values) {
    for (long i = 0; i < values; i++) {
      float value = LittleEndian.f32(source, sourceOffset + i * Float.BYTES);
      put(target, targetOffset + i * bytes, value);
    }
  }

  @Override
  public final String toString() {
    return name;
  }
}
