package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A floating-point number in one byte, as the OCP 8-bit Floating Point Specification (OFP8 1.0)
 * defines its two encodings.
 *
 * <p>Encoding rounds to the nearest number, halves to the even one, and saturates: magnitudes above
 * the largest finite number, infinities included, become it. NaN stays NaN. There is no scale: a
 * number stands for itself, as in vLLM's FP8 cache, whose scales are 1 unless calibrated.
 */
abstract class Float8 extends ScalarFormat {
  private final int fractionBits;
  private final int bias;
  private final int largest;
  private final float[] values = new float[256];

  /**
   * @param fractionBits bits after the point; the sign takes one, the exponent the others
   * @param largest code of the largest finite number; the codes above it, up to 127, are special
   * @param infinite whether the code after {@code largest} is infinity; the rest is NaN
   */
  Float8(String name, int fractionBits, int largest, boolean infinite) {
    super(name, -1, 1);
    this.fractionBits = fractionBits;
    this.bias = (1 << (6 - fractionBits)) - 1;
    this.largest = largest;
    for (int code = 0; code < 128; code++) {
      float value = code <= largest ? magnitude(code) : Float.NaN;
      values[code] = infinite && code == largest + 1 ? Float.POSITIVE_INFINITY : value;
      values[128 + code] = -values[code];
    }
  }

  private float magnitude(int code) {
    int exponent = code >> fractionBits;
    int fraction = code & ((1 << fractionBits) - 1);
    int significand = exponent == 0 ? fraction : fraction + (1 << fractionBits);
    return Math.scalb((float) significand, Math.max(1, exponent) - bias - fractionBits);
  }

  @Override
  final float get(MemorySegment source, long offset) {
    return values[LittleEndian.u8(source, offset)];
  }

  @Override
  final void put(MemorySegment target, long offset, float value) {
    int bits = Float.floatToRawIntBits(value);
    LittleEndian.putU8(target, offset, ((bits >>> 24) & 0x80) | code(bits & Integer.MAX_VALUE));
  }

  /** The code of a magnitude, which is given as the bits of a float. */
  private int code(int bits) {
    float magnitude = Float.intBitsToFloat(bits);
    if (Float.isNaN(magnitude)) {
      return 0x7F;
    }
    int exponent = bits >>> 23;
    if (exponent <= 127 - bias) {
      // Below the normal numbers codes count steps; the product is exact, so rounded once.
      return (int) Math.rint((double) magnitude * (1 << (bias - 1 + fractionBits)));
    }
    int cut = 23 - fractionBits;
    int rounded = (bits + (1 << (cut - 1)) - 1 + ((bits >>> cut) & 1)) >>> cut;
    return Math.min(largest, rounded - ((127 - bias) << fractionBits));
  }
}
