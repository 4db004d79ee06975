package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Block floating point: whole mantissas of 4 or 6 bits and one power of two for 32 or 64 numbers,
 * {@code q · 2^(e − 128)}.
 *
 * <p>Block: e (one byte); for each 32 numbers 16 bytes with the lower four bits of each: number i
 * in the low half of byte i, number 16 + i in the high half; with 6 bits then for each 32 numbers 8
 * bytes with the upper two: bits 2k and 2k + 1 of byte i are number 8k + i. Mantissas are stored
 * with an excess of 8 or 32, as Q4_0 and Q6_K store theirs: they reach from −8 to 7, or −32 to 31.
 *
 * <p>The exponent is the one of two that loses less: the least that holds the largest number, and
 * the one below, which clips a few numbers and halves the steps of all. With 4 bits that takes a
 * quarter off the squared error of normally distributed numbers; and two's complement loses less
 * than sign and magnitude, which waste a code on a second zero.
 *
 * <p>Powers of two as scales turn products of blocks into integer arithmetic and shifts. Channels
 * that are larger than their neighbours cost most here; sorting the rows of the key projection by
 * their norms, as Trukhanov and Soloveychik do (arXiv 2403.20137), is a change to the weights and
 * not to the format.
 */
final class BlockFloat extends AbstractBlockFormat {
  private final boolean six;
  private final int lowest;
  private final int highest;

  /**
   * @param bits of a mantissa: 4 or 6
   * @param blockValues 32 or 64
   */
  BlockFloat(String name, int bits, int blockValues) {
    super(name, -1, blockValues, 1 + blockValues * bits / 8);
    six = bits == 6;
    lowest = -1 << (bits - 1);
    highest = -1 - lowest;
  }

  @Override
  public void unpack(
      MemorySegment source, long offset, byte[] codes, float[] scales, float[] offsets, int at) {
    for (int part = 0; part < blockValues(); part += 32) {
      long lower = lower(offset, part);
      for (int i = 0; i < 16; i++) {
        int q = LittleEndian.u8(source, lower + i);
        codes[at + part + i] = (byte) ((q & 0xF) + lowest);
        codes[at + part + 16 + i] = (byte) ((q >> 4) + lowest);
      }
      if (six) {
        long upper = upper(offset, part);
        for (int i = 0; i < 32; i++) {
          codes[at + part + i] += (byte) (TwoBitCodes.get(source, upper, i) << 4);
        }
      }
    }
    fill(scales, offsets, at, MXFP4.halfPower(LittleEndian.u8(source, offset)), NO_OFFSET);
  }

  private static long lower(long block, int part) {
    return block + 1 + part / 2;
  }

  private long upper(long block, int part) {
    return block + 1 + blockValues() / 2 + part / 4;
  }

  @Override
  void encodeBlock(float[] x, MemorySegment target, long offset) {
    int e = exponent(x);
    LittleEndian.putU8(target, offset, e);
    float inverse = 1 / MXFP4.halfPower(e);
    for (int part = 0; part < blockValues(); part += 32) {
      long lower = lower(offset, part);
      for (int i = 0; i < 16; i++) {
        int low = code(x[part + i], inverse) & 0xF;
        int high = code(x[part + 16 + i], inverse) & 0xF;
        LittleEndian.putU8(target, lower + i, low | (high << 4));
      }
      if (six) {
        for (int i = part; i < part + 8; i++) {
          int a = code(x[i], inverse) >> 4;
          int b = code(x[8 + i], inverse) >> 4;
          int c = code(x[16 + i], inverse) >> 4;
          int d = code(x[24 + i], inverse) >> 4;
          TwoBitCodes.put(target, upper(offset, part), i - part, a, b, c, d);
        }
      }
    }
  }

  private int exponent(float[] x) {
    float largest = Math.abs(extreme(x, 0, blockValues()));
    if (largest < Float.MIN_NORMAL) {
      return 2; // 2^-126: everything is below half of it, and its inverse is finite
    }
    // The largest number is below 2^bits−1 steps, and from the half of that on.
    int e = Math.max(3, Math.getExponent(largest) + 128 - (six ? 4 : 2));
    return error(x, e - 1) < error(x, e) ? e - 1 : e;
  }

  private double error(float[] x, int e) {
    float scale = MXFP4.halfPower(e);
    float inverse = 1 / scale;
    double error = 0;
    for (float value : x) {
      double off = value - (code(value, inverse) + lowest) * scale;
      error += off * off;
    }
    return error;
  }

  private int code(float x, float inverse) {
    return Rounding.clamp(Rounding.halfEven(x * inverse), lowest, highest) - lowest;
  }
}
