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
    GroupSearch search = new GroupSearch(x, 16);
    for (int group = 0; group < 16; group++) {
      search.symmetric(group, 32);
    }
    float largest = extreme(search.scales(), 0, 16);
    if (Math.abs(largest) < GroupSearch.NOTHING) {
      target.asSlice(offset, blockBytes()).fill((byte) 0);
      return;
    }
    float inverse = -128 / largest;
    float d = LittleEndian.putF16(target, offset + 208, 1 / inverse);
    for (int group = 0; group < 16; group++) {
      int scale = Math.min(127, Rounding.halfEven(inverse, search.scales()[group]));
      LittleEndian.putU8(target, offset + 192 + group, scale);
      search.recode(group, d * scale, 32, 63);
    }
    byte[] codes = search.codes();
    for (int i = 0; i < 128; i++) {
      int from = i / 64 * 128 + i % 64;
      LittleEndian.putU8(target, offset + i, (codes[from] & 0xF) | ((codes[from + 64] & 0xF) << 4));
    }
    for (int i = 0; i < 64; i++) {
      int from = i / 32 * 128 + i % 32;
      int packed = 0;
      for (int k = 0; k < 4; k++) {
        packed |= (codes[from + 32 * k] >> 4) << (2 * k);
      }
      LittleEndian.putU8(target, offset + 128 + i, packed);
    }
  }
}
