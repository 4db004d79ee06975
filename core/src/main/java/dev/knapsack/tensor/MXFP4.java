package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 32 numbers in FP4 (E2M1) with a shared power of two, as the OCP Microscaling specification 1.0
 * defines it: {@code 2 · value · 2^(e − 128)}.
 *
 * <p>Block: e (E8M0, one byte), 16 bytes of codes: number i in the low half of byte i, number 16 +
 * i in the high half. Codes are twice the FP4 value, and the scale half the power of two.
 */
final class MXFP4 extends AbstractBlockFormat {
  /** {@code 2^(e − 128)}; the two smallest are subnormal. */
  private static float halfPower(int e) {
    return Float.intBitsToFloat(e < 2 ? 0x0020_0000 << e : (e - 1) << 23);
  }

  MXFP4() {
    super("MXFP4", 39, 32, 17);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int i = 0; i < 16; i++) {
      int q = LittleEndian.u8(source, offset + 1 + i);
      codes[at + i] = Levels.FP4.value(q & 0xF);
      codes[at + 16 + i] = Levels.FP4.value(q >> 4);
    }
    fill(scales, offsets, at, halfPower(LittleEndian.u8(source, offset)), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    throw new UnsupportedOperationException(name() + " is not encoded yet");
  }
}
