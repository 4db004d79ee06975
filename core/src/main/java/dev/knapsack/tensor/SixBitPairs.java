package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * The head of {@link Q4_K} and {@link Q5_K} blocks: d and dmin (F16), and eight pairs of a 6-bit
 * scale and a 6-bit minimum in 12 bytes.
 *
 * <p>Bytes 0–3 hold the first four scales in their lower six bits, bytes 4–7 the first four minima.
 * Of pair 4 + i, byte 8 + i holds the lower four bits of the scale (low half) and the minimum (high
 * half); the upper two bits of the scale are the top bits of byte i, those of the minimum the top
 * bits of byte 4 + i.
 */
final class SixBitPairs {
  private SixBitPairs() {}

  /** Unpacks the head at {@code offset}: two groups of 16 numbers for each pair. */
  static void unpack(
      MemorySegment source, long offset, float[] scales, float[] offsets, int atGroup) {
    float d = LittleEndian.f16(source, offset);
    float dmin = LittleEndian.f16(source, offset + 2);
    for (int pair = 0; pair < 8; pair++) {
      int scale;
      int min;
      if (pair < 4) {
        scale = LittleEndian.u8(source, offset + 4 + pair) & 63;
        min = LittleEndian.u8(source, offset + 8 + pair) & 63;
      } else {
        int scaleTop = LittleEndian.bits(source, offset, pair, 6, 2);
        int minTop = LittleEndian.bits(source, offset, 4 + pair, 6, 2);
        scale = LittleEndian.bits(source, offset, 8 + pair, 0, 4) | (scaleTop << 4);
        min = LittleEndian.bits(source, offset, 8 + pair, 4, 4) | (minTop << 4);
      }
      int group = atGroup + 2 * pair;
      scales[group] = scales[group + 1] = d * scale;
      offsets[group] = offsets[group + 1] = -(dmin * min);
    }
  }
}
