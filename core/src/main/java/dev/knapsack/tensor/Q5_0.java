package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in 5 bits: {@code (q − 16) · d}.
 *
 * <p>Block: d (F16), 32 bits with the fifth bit of each number, 16 bytes with the lower four as in
 * {@link Q4_0}. The scale maps the number of largest magnitude to −16.
 */
final class Q5_0 extends AbstractBlockFormat {
  Q5_0() {
    super("Q5_0", 6, 32, 22);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    int fifth = LittleEndian.i32(source, offset + 2);
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 6 + i);
      codes[at + i] = (byte) (((q & 0xF) | (((fifth >>> i) & 1) << 4)) - 16);
      codes[at + 16 + i] = (byte) (((q >> 4) | (((fifth >>> (16 + i)) & 1) << 4)) - 16);
    }
    fill(scales, offsets, at, LittleEndian.f16(source, offset), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float d = extreme(x, 0, 32) / -16;
    float inverse = Rounding.inverse(d);
    int fifth = 0;
    for (int i = 0; i < 16; i++) {
      int low = Math.min(31, (int) (x[i] * inverse + 16.5f));
      int high = Math.min(31, (int) (x[16 + i] * inverse + 16.5f));
      LittleEndian.putU8(target, offset + 6 + i, (low & 0xF) | ((high & 0xF) << 4));
      fifth |= ((low >> 4) << i) | ((high >> 4) << (16 + i));
    }
    LittleEndian.putF16(target, offset, d);
    LittleEndian.putI32(target, offset + 2, fifth);
  }
}
