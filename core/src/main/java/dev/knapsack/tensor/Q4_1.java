package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in 4 bits with a minimum: {@code q · d + m}.
 *
 * <p>Block: d (F16), m (F16), 16 bytes of codes: number i in the low half of byte i, number 16 + i
 * in the high half.
 */
final class Q4_1 extends AbstractBlockFormat {
  Q4_1() {
    super("Q4_1", 3, 32, 20);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 4 + i);
      codes[at + i] = (byte) (q & 0xF);
      codes[at + 16 + i] = (byte) (q >> 4);
    }
    float d = LittleEndian.f16(source, offset);
    fill(scales, offsets, at, d, LittleEndian.f16(source, offset + 2));
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float min = min(x, 0, 32);
    float d = (max(x, 0, 32) - min) / 15;
    float inverse = Rounding.inverse(d);
    LittleEndian.putF16(target, offset, d);
    LittleEndian.putF16(target, offset + 2, min);
    for (int i = 0; i < 16; i++) {
      int low = Math.min(15, (int) ((x[i] - min) * inverse + 0.5f));
      int high = Math.min(15, (int) ((x[16 + i] - min) * inverse + 0.5f));
      LittleEndian.putU8(target, offset + 4 + i, low | (high << 4));
    }
  }
}
