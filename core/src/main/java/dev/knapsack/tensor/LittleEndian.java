package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Numbers as blocks hold them: little-endian, at any byte. */
final class LittleEndian {
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The largest finite half-precision number. */
  static final float MAX_F16 = 65504f;

  private LittleEndian() {}

  static float f32(MemorySegment segment, long offset) {
    return segment.get(FLOAT, offset);
  }

  static void putF32(MemorySegment segment, long offset, float value) {
    segment.set(FLOAT, offset, value);
  }

  static float f16(MemorySegment segment, long offset) {
    return Float.float16ToFloat(segment.get(SHORT, offset));
  }

  /** Writes the nearest half-precision number and returns it. */
  static float putF16(MemorySegment segment, long offset, float value) {
    short half = Float.floatToFloat16(value);
    segment.set(SHORT, offset, half);
    return Float.float16ToFloat(half);
  }

  static int u8(MemorySegment segment, long offset) {
    return segment.get(ValueLayout.JAVA_BYTE, offset) & 0xFF;
  }

  /** The {@code width} bits from bit {@code shift} on of byte {@code at} of a block. */
  static int bits(MemorySegment segment, long block, int at, int shift, int width) {
    return (u8(segment, block + at) >> shift) & ((1 << width) - 1);
  }

  static void putU8(MemorySegment segment, long offset, int value) {
    segment.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
  }

  static int u16(MemorySegment segment, long offset) {
    return segment.get(SHORT, offset) & 0xFFFF;
  }

  static void putU16(MemorySegment segment, long offset, int value) {
    segment.set(SHORT, offset, (short) value);
  }

  static int i32(MemorySegment segment, long offset) {
    return segment.get(INT, offset);
  }

  static void putI32(MemorySegment segment, long offset, int value) {
    segment.set(INT, offset, value);
  }
}
