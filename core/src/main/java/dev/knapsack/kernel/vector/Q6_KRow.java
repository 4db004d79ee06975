package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Blocks of 256: 128 bytes with the lower four bits of the codes, 64 with the upper two, 16 signed
 * scales of 8 bits, one for 16 numbers, and the half-precision scale of the scales. Codes are less
 * 32, by sums of x that all rows share.
 */
final class Q6_KRow extends RowKernel {
  private static final int BLOCK = 210;
  private static final int HIGH = 128;
  private static final int SCALES = 192;

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      float d = Lanes.half(w, block + 208);
      for (int part = 0; part < 8; part++) {
        long low = low(block, part);
        long high = high(block, part);
        int shift = part & 2;
        float s0 = d * w.get(ValueLayout.JAVA_BYTE, scale(block, part));
        float s1 = d * w.get(ValueLayout.JAVA_BYTE, scale(block, part) + 4);
        int at = to + 256 * b + number(part);
        for (int i = 0; i < 16; i += Lanes.LENGTH) {
          IntVector bytes = Lanes.unsignedBytes(w, low + i);
          IntVector tops = Lanes.unsignedBytes(w, high + i);
          Lanes.store(first(bytes, tops, shift).sub(32).mul(s0), target, at + i);
          Lanes.store(second(bytes, tops, shift).sub(32).mul(s1), target, at + 64 + i);
        }
      }
    }
  }

  // A block in eight parts, of 16 bytes each: bit 0 of the part is which 16 numbers of 32, bit 1
  // which 32 of 64, bit 2 which 128. A part holds two runs of 16 numbers, 64 apart.

  private static int number(int part) {
    return 16 * (part & 3) + 128 * (part >>> 2);
  }

  private static long low(long block, int part) {
    return block + 16L * part;
  }

  private static long high(long block, int part) {
    return block + HIGH + 32L * (part >>> 2) + 16L * (part & 1);
  }

  private static long scale(long block, int part) {
    return block + SCALES + 8L * (part >>> 2) + (part & 3);
  }

  private static FloatVector first(IntVector bytes, IntVector tops, int shift) {
    IntVector top = tops.lanewise(VectorOperators.LSHL, 4).lanewise(VectorOperators.LSHR, shift);
    return Lanes.floats(Lanes.lowBits(bytes).or(top.and(48)));
  }

  private static FloatVector second(IntVector bytes, IntVector tops, int shift) {
    IntVector top = tops.lanewise(VectorOperators.LSHR, shift);
    return Lanes.floats(Lanes.highBits(bytes).or(top.and(48)));
  }

  @Override
  void prepare(float[] memory, int x, int prepared, int columns) {
    sums(memory, x, prepared, columns, 16, -32);
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    FloatVector sum = Lanes.zero();
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      FloatVector products = Lanes.zero();
      for (int part = 0; part < 8; part++) {
        long low = low(block, part);
        long high = high(block, part);
        int shift = part & 2;
        int at = x + 256 * b + number(part);
        int sums = prepared + (16 * b + number(part) / 16) * Lanes.LENGTH;
        FloatVector p0 = Lanes.load(memory, sums);
        FloatVector p1 = Lanes.load(memory, sums + 4 * Lanes.LENGTH);
        for (int i = 0; i < 16; i += Lanes.LENGTH) {
          IntVector bytes = Lanes.unsignedBytes(w, low + i);
          IntVector tops = Lanes.unsignedBytes(w, high + i);
          p0 = first(bytes, tops, shift).fma(Lanes.load(memory, at + i), p0);
          p1 = second(bytes, tops, shift).fma(Lanes.load(memory, at + 64 + i), p1);
        }
        long scale = scale(block, part);
        float s0 = w.get(ValueLayout.JAVA_BYTE, scale);
        float s1 = w.get(ValueLayout.JAVA_BYTE, scale + 4);
        products = p0.fma(Lanes.broadcast(s0), p1.fma(Lanes.broadcast(s1), products));
      }
      sum = products.fma(Lanes.broadcast(Lanes.half(w, block + 208)), sum);
    }
    return Lanes.sum(sum);
  }
}
