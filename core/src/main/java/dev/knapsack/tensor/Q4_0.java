package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in 4 bits: {@code (q − 8) · d}.
 *
 * <p>Block: d (F16), 16 bytes of codes: number i in the low half of byte i, number 16 + i in the
 * high half. The scale maps the number of largest magnitude to −8.
 */
final class Q4_0 extends AbstractBlockFormat {
  Q4_0() {
    super("Q4_0", 2, 32, 18);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 2 + i);
      codes[at + i] = (byte) ((q & 0xF) - 8);
      codes[at + 16 + i] = (byte) ((q >> 4) - 8);
    }
    fill(scales, offsets, at, LittleEndian.f16(source, offset), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float d = extreme(x, 0, 32) / -8;
    float inverse = Rounding.inverse(d);
    LittleEndian.putF16(target, offset, d);
    for (int i = 0; i < 16; i++) {
      int low = Math.min(15, (int) (x[i] * inverse + 8.5f));
      int high = Math.min(15, (int) (x[16 + i] * inverse + 8.5f));
      LittleEndian.putU8(target, offset + 2 + i, low | (high << 4));
    }
  }
}
