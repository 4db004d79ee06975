package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers in 2 bits, in 16 groups of 16 with 4-bit scales and minima: {@code q · (d · scale) −
 * dmin · min}.
 *
 * <p>Block: 16 bytes with a group's scale in the low half and its minimum in the high half, 64
 * bytes of codes, d (F16), dmin (F16). Bits 2k and 2k + 1 of byte 32h + i are number 128h + 32k +
 * i.
 */
final class Q2_K extends AbstractBlockFormat {
  Q2_K() {
    super("Q2_K", 10, 256, 84);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    float d = LittleEndian.f16(source, offset + 80);
    float dmin = LittleEndian.f16(source, offset + 82);
    for (int group = 0; group < 16; group++) {
      scales[at / GROUP + group] = d * LittleEndian.bits(source, offset, group, 0, 4);
      offsets[at / GROUP + group] = -(dmin * LittleEndian.bits(source, offset, group, 4, 4));
    }
    for (int i = 0; i < 256; i++) {
      int from = 16 + i / 128 * 32 + i % 32;
      codes[at + i] = (byte) LittleEndian.bits(source, offset, from, i / 32 % 4 * 2, 2);
    }
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    throw new UnsupportedOperationException(name() + " is not encoded yet");
  }
}
