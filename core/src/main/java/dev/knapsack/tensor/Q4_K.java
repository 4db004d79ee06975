package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers in 4 bits, in 8 groups of 32 with 6-bit scales and minima: {@code q · (d · scale) −
 * dmin · min}.
 *
 * <p>Block: d (F16), dmin (F16), 12 bytes of scales and minima ({@link SixBitPairs}), 128 bytes of
 * codes: byte 32k + i holds number 64k + i in its low half and number 64k + 32 + i in its high
 * half.
 */
final class Q4_K extends AbstractBlockFormat {
  Q4_K() {
    super("Q4_K", 12, 256, 144);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    SixBitPairs.unpack(source, offset, scales, offsets, at / GROUP);
    for (int i = 0; i < 256; i++) {
      int from = 16 + i / 64 * 32 + i % 32;
      codes[at + i] = (byte) LittleEndian.bits(source, offset, from, i / 32 % 2 * 4, 4);
    }
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    GroupSearch search = SixBitPairs.encode(x, 15, -1, 21, target, offset);
    packLowHalves(search.codes(), target, offset + 16);
  }

  /** Packs the lower four bits of 256 codes into 128 bytes. */
  static void packLowHalves(byte[] codes, MemorySegment target, long offset) {
    for (int i = 0; i < 128; i++) {
      int from = i / 32 * 64 + i % 32;
      LittleEndian.putU8(target, offset + i, (codes[from] & 0xF) | ((codes[from + 32] & 0xF) << 4));
    }
  }
}
