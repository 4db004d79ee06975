package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 128 numbers of which the signs remain, and their mean magnitude: {@code ±d}.
 *
 * <p>Block: d (F16), 16 bytes of signs: bit i of byte j is 1 if number 8j + i is not negative.
 */
final class Q1_0 extends AbstractBlockFormat {
  private static final int BITS = 2;

  Q1_0() {
    super("Q1_0", 41, 128, BITS + 16);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 128; i++) {
      int positive = LittleEndian.bits(source, offset, BITS + i / 8, i % 8, 1);
      codes[at + i] = (byte) (2 * positive - 1);
    }
    fill(scales, offsets, at, LittleEndian.f16(source, offset), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float sizes = 0;
    for (int from = 0; from < x.length; from += 8) {
      int positive = 0;
      for (int i = 0; i < 8; i++) {
        float value = x[from + i];
        sizes += Math.abs(value);
        positive |= value >= 0 ? 1 << i : 0;
      }
      LittleEndian.putU8(target, offset + BITS + from / 8, positive);
    }
    LittleEndian.putF16(target, offset, sizes / 128);
  }
}
