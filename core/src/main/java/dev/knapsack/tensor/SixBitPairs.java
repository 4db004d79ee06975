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

  /**
   * Searches scales and minima for codes 0 to {@code top} and writes the head at {@code offset}.
   *
   * @return the search, with the codes chosen for the rounded scales
   */
  static GroupSearch encode(
      float[] x, int top, float first, int trials, MemorySegment target, long offset) {
    GroupSearch search = new GroupSearch(x, 32);
    for (int pair = 0; pair < 8; pair++) {
      search.weigh(pair);
      search.affine(pair, top, first, trials);
    }
    float largestScale = Math.max(0, AbstractBlockFormat.max(search.scales(), 0, 8));
    float largestMin = Math.max(0, AbstractBlockFormat.max(search.mins(), 0, 8));
    float toScale = largestScale > 0 ? 63 / largestScale : 0;
    float toMin = largestMin > 0 ? 63 / largestMin : 0;
    float d = LittleEndian.putF16(target, offset, largestScale / 63);
    float dmin = LittleEndian.putF16(target, offset + 2, largestMin / 63);
    int[] packed = new int[12];
    for (int pair = 0; pair < 8; pair++) {
      search.weigh(pair);
      int settled =
          search.settle(
              pair,
              d,
              dmin,
              Rounding.halfEven(toScale, search.scales()[pair]),
              Rounding.halfEven(toMin, search.mins()[pair]),
              63,
              top);
      int scale = settled & 0xFF;
      int min = settled >> 8;
      if (pair < 4) {
        packed[pair] |= scale;
        packed[4 + pair] |= min;
      } else {
        packed[4 + pair] = (scale & 0xF) | ((min & 0xF) << 4);
        packed[pair - 4] |= (scale >> 4) << 6;
        packed[pair] |= (min >> 4) << 6;
      }
    }
    for (int i = 0; i < 12; i++) {
      LittleEndian.putU8(target, offset + 4 + i, packed[i]);
    }
    return search;
  }
}
