package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in 5 bits with a minimum: {@code q · d + m}.
 *
 * <p>Block: d (F16), m (F16), 32 bits with the fifth bit of each number, 16 bytes with the lower
 * four as in {@link Q4_1}.
 */
final class Q5_1 extends AbstractBlockFormat {
  Q5_1() {
    super("Q5_1", 7, 32, 24);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    int fifth = LittleEndian.i32(source, offset + 4);
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 8 + i);
      codes[at + i] = (byte) ((q & 0xF) | (((fifth >>> i) & 1) << 4));
      codes[at + 16 + i] = (byte) ((q >> 4) | (((fifth >>> (16 + i)) & 1) << 4));
    }
    float d = LittleEndian.f16(source, offset);
    fill(scales, offsets, at, d, LittleEndian.f16(source, offset + 2));
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float min = min(x, 0, 32);
    float d = (max(x, 0, 32) - min) / 31;
    float inverse = Rounding.inverse(d);
    int fifth = 0;
    for (int i = 0; i < 16; i++) {
      int low = Math.min(31, (int) ((x[i] - min) * inverse + 0.5f));
      int high = Math.min(31, (int) ((x[16 + i] - min) * inverse + 0.5f));
      LittleEndian.putU8(target, offset + 8 + i, (low & 0xF) | ((high & 0xF) << 4));
      fifth |= ((low >> 4) << i) | ((high >> 4) << (16 + i));
    }
    LittleEndian.putF16(target, offset, d);
    LittleEndian.putF16(target, offset + 2, min);
    LittleEndian.putI32(target, offset + 4, fifth);
  }
}
