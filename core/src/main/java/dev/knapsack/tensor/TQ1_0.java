package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * 256 numbers of −1, 0 and 1 times a scale, five to a byte: {@code (q − 1) · d}.
 *
 * <p>Block: 48 bytes with five numbers each, 4 bytes with four each, d (F16). A byte holds the
 * numbers as the digits of a fraction in base 3, rounded up to 1/256: digit k is the integer part
 * of 3 · fraction(byte · 3^k / 256). The first 32 bytes hold numbers 32k + i, the next 16 numbers
 * 160 + 16k + i, the last 4 numbers 240 + 4k + i.
 */
final class TQ1_0 extends AbstractBlockFormat {
  private static int unpackDigits(
      MemorySegment source, long offset, int bytes, int digits, byte[] codes, int at) {
    int power = 1;
    int to = at;
    for (int k = 0; k < digits; k++) {
      for (int i = 0; i < bytes; i++) {
        int fraction = LittleEndian.u8(source, offset + i) * power & 0xFF;
        codes[to++] = (byte) (((fraction * 3) >> 8) - 1);
      }
      power *= 3;
    }
    return to;
  }

  TQ1_0() {
    super("TQ1_0", 34, 256, 54);
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    int to = at;
    to = unpackDigits(source, offset, 32, 5, codes, to);
    to = unpackDigits(source, offset + 32, 16, 5, codes, to);
    unpackDigits(source, offset + 48, 4, 4, codes, to);
    fill(scales, offsets, at, LittleEndian.f16(source, offset + 52), NO_OFFSET);
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    float d = Math.abs(extreme(x, 0, 256));
    float inverse = Rounding.inverse(d);
    packDigits(x, 0, inverse, 32, 5, target, offset);
    packDigits(x, 160, inverse, 16, 5, target, offset + 32);
    packDigits(x, 240, inverse, 4, 4, target, offset + 48);
    LittleEndian.putF16(target, offset + 52, d);
  }

  private static void packDigits(
      float[] x,
      int from,
      float inverse,
      int bytes,
      int digits,
      MemorySegment target,
      long offset) {
    for (int i = 0; i < bytes; i++) {
      int number = 0;
      for (int k = 0; k < 5; k++) {
        number *= 3;
        if (k < digits) {
          number += Rounding.halfAway(x[from + k * bytes + i] * inverse) + 1;
        }
      }
      // Rounded up, so that multiplying by 3 and dropping the fraction gives back each digit.
      LittleEndian.putU8(target, offset + i, (number * 256 + 242) / 243);
    }
  }
}
