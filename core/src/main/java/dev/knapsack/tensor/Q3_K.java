package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers in 3 bits, in 16 groups of 16 with 6-bit scales: {@code (q − 4) · (d · (scale −
 * 32))}.
 *
 * <p>Block: 32 bytes of third bits (bit b of byte i is that of number 32b + i), 64 bytes of the
 * lower two bits as in {@link Q2_K}, 12 bytes of scales, d (F16). Of the scale of group g, the
 * lower four bits are in byte g % 8 (low half for the first eight groups), the upper two in byte 8
 * + g % 4, from bit 2 · (g / 4).
 */
final class Q3_K extends AbstractBlockFormat {
  Q3_K() {
    super("Q3_K", 11, 256, 110);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    float d = LittleEndian.f16(source, offset + 108);
    for (int group = 0; group < 16; group++) {
      int low = LittleEndian.bits(source, offset, 96 + group % 8, group / 8 * 4, 4);
      int high = LittleEndian.bits(source, offset, 104 + group % 4, group / 4 * 2, 2);
      scales[at / GROUP + group] = d * ((low | (high << 4)) - 32);
      offsets[at / GROUP + group] = NO_OFFSET;
    }
    for (int i = 0; i < 256; i++) {
      int low = LittleEndian.bits(source, offset, 32 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2);
      int high = LittleEndian.bits(source, offset, i % 32, i / 32, 1);
      codes[at + i] = (byte) ((low | (high << 2)) - 4);
    }
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    GroupSearch search = new GroupSearch(x, 16);
    for (int group = 0; group < 16; group++) {
      search.symmetricByMoves(group, 4);
    }
    float largest = extreme(search.scales(), 0, 16);
    float inverse = largest == 0 ? 0 : -32 / largest;
    float d = LittleEndian.putF16(target, offset + 108, Rounding.inverse(inverse));
    int[] packed = new int[12];
    for (int group = 0; group < 16; group++) {
      int scale = Rounding.clamp(Rounding.halfEven(inverse, search.scales()[group]), -32, 31);
      packed[group % 8] |= ((scale + 32) & 0xF) << (group / 8 * 4);
      packed[8 + group % 4] |= ((scale + 32) >> 4) << (group / 4 * 2);
      search.recode(group, d * scale, 4, 7);
    }
    for (int i = 0; i < 12; i++) {
      LittleEndian.putU8(target, offset + 96 + i, packed[i]);
    }
    Q2_K.packTwoBits(search.codes(), target, offset + 32);
    packTopBits(search.codes(), 2, target, offset);
  }

  /** Packs bit {@code bit} of 256 codes into 32 bytes. */
  static void packTopBits(byte[] codes, int bit, MemorySegment target, long offset) {
    for (int i = 0; i < 32; i++) {
      int packed = 0;
      for (int k = 0; k < 8; k++) {
        packed |= ((codes[32 * k + i] >> bit) & 1) << k;
      }
      LittleEndian.putU8(target, offset + i, packed);
    }
  }
}
