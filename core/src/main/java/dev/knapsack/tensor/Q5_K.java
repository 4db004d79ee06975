package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers in 5 bits, in 8 groups of 32 with 6-bit scales and minima: {@code q · (d · scale) −
 * dmin · min}.
 *
 * <p>Block: d (F16), dmin (F16), 12 bytes of scales and minima ({@link SixBitPairs}), 32 bytes of
 * fifth bits (bit b of byte i is that of number 32b + i), 128 bytes of the lower four as in {@link
 * Q4_K}.
 */
final class Q5_K extends AbstractBlockFormat {
  Q5_K() {
    super("Q5_K", 13, 256, 176);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    SixBitPairs.unpack(source, offset, scales, offsets, at / GROUP);
    for (int i = 0; i < 256; i++) {
      int low = LittleEndian.bits(source, offset, 48 + i / 64 * 32 + i % 32, i / 32 % 2 * 4, 4);
      int high = LittleEndian.bits(source, offset, 16 + i % 32, i / 32, 1);
      codes[at + i] = (byte) (low | (high << 4));
    }
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    GroupSearch search = SixBitPairs.encode(x, 31, -0.5f, 16, target, offset);
    Q3_K.packTopBits(search.codes(), 4, target, offset + 16);
    Q4_K.packLowHalves(search.codes(), target, offset + 48);
  }
}
