package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in 4 bits that choose one of 16 unevenly spaced levels: {@code level[q] · d}.
 *
 * <p>Block: d (F16), 16 bytes of codes as in {@link Q4_0}.
 */
final class IQ4_NL extends AbstractBlockFormat {
  IQ4_NL() {
    super("IQ4_NL", 20, 32, 18);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 2 + i);
      codes[at + i] = Levels.IQ4.value(q & 0xF);
      codes[at + 16 + i] = Levels.IQ4.value(q >> 4);
    }
    fill(scales, offsets, at, LittleEndian.f16(source, offset), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float d = Levels.IQ4.scale(x, 0, 32);
    LittleEndian.putF16(target, offset, d);
    Levels.IQ4.pack(x, 0, Rounding.inverse(d), target, offset + 2);
  }
}
