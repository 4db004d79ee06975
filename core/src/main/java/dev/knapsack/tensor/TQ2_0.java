package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers of −1, 0 and 1 times a scale, in 2 bits each: {@code (q − 1) · d}.
 *
 * <p>Block: 64 bytes of codes, d (F16). Bits 2k and 2k + 1 of byte 32h + i are number 128h + 32k +
 * i.
 */
final class TQ2_0 extends AbstractBlockFormat {
  TQ2_0() {
    super("TQ2_0", 35, 256, 66);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 256; i++) {
      int q = LittleEndian.bits(source, offset, i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2);
      codes[at + i] = (byte) (q - 1);
    }
    fill(scales, offsets, at, LittleEndian.f16(source, offset + 64), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float d = Math.abs(extreme(x, 0, 256));
    float inverse = Rounding.inverse(d);
    byte[] codes = new byte[256];
    for (int i = 0; i < 256; i++) {
      codes[i] = (byte) (Rounding.halfAway(x[i] * inverse) + 1);
    }
    Q2_K.packTwoBits(codes, target, offset);
    LittleEndian.putF16(target, offset + 64, d);
  }
}
