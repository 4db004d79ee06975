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
    GroupSearch search = new GroupSearch(x, 16);
    for (int group = 0; group < 16; group++) {
      search.weigh(group);
      search.affine(group, 3, -0.5f, 16);
    }
    float largestScale = Math.max(0, max(search.scales(), 0, 16));
    float largestMin = Math.max(0, max(search.mins(), 0, 16));
    float toScale = largestScale > 0 ? 15 / largestScale : 0;
    float toMin = largestMin > 0 ? 15 / largestMin : 0;
    float d = LittleEndian.putF16(target, offset + 80, largestScale / 15);
    float dmin = LittleEndian.putF16(target, offset + 82, largestMin / 15);
    for (int group = 0; group < 16; group++) {
      search.weigh(group);
      int settled =
          search.settle(
              group,
              d,
              dmin,
              Rounding.halfEven(toScale, search.scales()[group]),
              Rounding.halfEven(toMin, search.mins()[group]),
              15,
              3);
      LittleEndian.putU8(target, offset + group, (settled & 0xFF) | ((settled >> 8) << 4));
    }
    packTwoBits(search.codes(), target, offset + 16);
  }

  /** Packs the lower two bits of 256 codes into 64 bytes. */
  static void packTwoBits(byte[] codes, MemorySegment target, long offset) {
    for (int i = 0; i < 64; i++) {
      int from = i / 32 * 128 + i % 32;
      int packed = 0;
      for (int k = 0; k < 4; k++) {
        packed |= (codes[from + 32 * k] & 3) << (2 * k);
      }
      LittleEndian.putU8(target, offset + i, packed);
    }
  }
}
