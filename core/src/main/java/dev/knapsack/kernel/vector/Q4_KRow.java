package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Blocks of 256: a scale and a scale of minima in half precision, {@link SixBits}, and 128 bytes:
 * number i of 64 in the low half of byte i, number 32 + i in the high half.
 */
final class Q4_KRow extends RowKernel {
  private static final int BLOCK = 144;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block);
      float dmin = Lanes.half(w, block + 2);
      long scales = SixBits.scales(w, block + 4);
      long minima = SixBits.minima(w, block + 4);
      for (int j = 0; j < 4; j++) {
        int at = to + 256 * b + 64 * j;
        long codes = block + 16 + 32L * j;
        float s0 = d * SixBits.get(scales, 2 * j);
        float s1 = d * SixBits.get(scales, 2 * j + 1);
        float m0 = dmin * SixBits.get(minima, 2 * j);
        float m1 = dmin * SixBits.get(minima, 2 * j + 1);
        for (int i = 0; i < 32; i += Lanes.LENGTH) {
          IntVector bytes = Lanes.unsignedBytes(w, codes + i);
          Lanes.store(Lanes.low(bytes).mul(s0).sub(m0), target, at + i);
          Lanes.store(Lanes.high(bytes).mul(s1).sub(m1), target, at + 32 + i);
        }
      }
    }
  }

  @Override
  void prepare(float[] memory, int x, int prepared, int columns) {
    sums(memory, x, prepared, columns, 32, 1);
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    FloatVector sum = Lanes.zero();
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block);
      float dmin = -Lanes.half(w, block + 2);
      long scales = SixBits.scales(w, block + 4);
      long minima = SixBits.minima(w, block + 4);
      for (int j = 0; j < 4; j++) {
        int at = x + 256 * b + 64 * j;
        int sums = prepared + (8 * b + 2 * j) * Lanes.LENGTH;
        float s0 = d * (scales & 0xFF);
        float s1 = d * (scales >>> 8 & 0xFF);
        float m0 = dmin * (minima & 0xFF);
        float m1 = dmin * (minima >>> 8 & 0xFF);
        long codes = block + 16 + 32L * j;
        FloatVector low = Lanes.load(memory, sums).mul(m0);
        FloatVector high = Lanes.load(memory, sums + Lanes.LENGTH).mul(m1);
        FloatVector lowCodes = Lanes.zero();
        FloatVector highCodes = Lanes.zero();
        for (int i = 0; i < 32; i += Lanes.LENGTH) {
          IntVector bytes = Lanes.unsignedBytes(w, codes + i);
          lowCodes = Lanes.low(bytes).fma(Lanes.load(memory, at + i), lowCodes);
          highCodes = Lanes.high(bytes).fma(Lanes.load(memory, at + 32 + i), highCodes);
        }
        low = lowCodes.fma(Lanes.broadcast(s0), low);
        high = highCodes.fma(Lanes.broadcast(s1), high);
        sum = sum.add(low.add(high));
        scales >>>= 16;
        minima >>>= 16;
      }
    }
    return Lanes.sum(sum);
  }
}
