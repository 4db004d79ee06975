package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers in 6 bits, in 16 groups of 16 with 8-bit scales: {@code (q − 32) · (d · scale)}.
 *
 * <p>Block: 128 bytes of the lower four bits, 64 bytes of the upper two, 16 signed bytes of scales,
 * d (F16). Byte 64h + i of the lower bits holds number 128h + i in its low half and number 128h +
 * 64 + i in its high half; bits 2k and 2k + 1 of byte 32h + i of the upper bits are those of number
 * 128h + 32k + i.
 */
final class Q6_K extends AbstractBlockFormat {
  Q6_K() {
    super("Q6_K", 14, 256, 210);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    float d = LittleEndian.f16(source, offset + 208);
    for (int group = 0; group < 16; group++) {
      int scale = (byte) LittleEndian.u8(source, offset + 192 + group);
      scales[at / GROUP + group] = d * scale;
      offsets[at / GROUP + group] = NO_OFFSET;
    }
    for (int i = 0; i < 256; i++) {
      int low = LittleEndian.bits(source, offset, i / 128 * 64 + i % 64, i / 64 % 2 * 4, 4);
      int high = LittleEndian.bits(source, offset, 128 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2);
      codes[at + i] = (byte) ((low | (high << 4)) - 32);
    }
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    throw new UnsupportedOperationException(name() + " is not encoded yet");
  }
}
