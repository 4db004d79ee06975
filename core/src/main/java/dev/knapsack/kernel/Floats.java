package dev.knapsack.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Numbers of F32 as memory holds them: little-endian, at any byte. */
final class Floats {
  static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Floats() {}

  /** The number {@code index} after byte {@code offset}. */
  static float get(MemorySegment s, long offset, int index) {
    return s.get(F32, offset + (long) index * Float.BYTES);
  }

  static void put(MemorySegment s, long offset, int index, float value) {
    s.set(F32, offset + (long) index * Float.BYTES, value);
  }
}
