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
      for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 32; i += 16) {
          int at = to + 256 * b + 128 * half + i;
          long scales = block + SCALES + 8L * half + i / 16;
          long low = block + 64L * half + i;
          unpack(w, low, block + HIGH + 32L * half + i, scales, d, target, at);
        }
      }
    }
  }

  /** Decodes four runs of 16 numbers, 32 apart. */
  private static void unpack(
      MemorySegment w, long low, long high, long scales, float d, float[] target, int at) {
    float s0 = d * w.get(ValueLayout.JAVA_BYTE, scales);
    float s1 = d * w.get(ValueLayout.JAVA_BYTE, scales + 2);
    float s2 = d * w.get(ValueLayout.JAVA_BYTE, scales + 4);
    float s3 = d * w.get(ValueLayout.JAVA_BYTE, scales + 6);
    for (int i = 0; i < 16; i += Lanes.LENGTH) {
      IntVector a = Lanes.unsignedBytes(w, low + i);
      IntVector b = Lanes.unsignedBytes(w, low + 32 + i);
      IntVector h = Lanes.unsignedBytes(w, high + i);
      int to = at + i;
      Lanes.store(first(a, h).sub(32).mul(s0), target, to);
      Lanes.store(second(b, h).sub(32).mul(s1), target, to + 32);
      Lanes.store(third(a, h).sub(32).mul(s2), target, to + 64);
      Lanes.store(fourth(b, h).sub(32).mul(s3), target, to + 96);
    }
  }

  private static FloatVector first(IntVector low, IntVector high) {
    return Lanes.floats(Lanes.lowBits(low).or(high.and(3).lanewise(VectorOperators.LSHL, 4)));
  }

  private static FloatVector second(IntVector low, IntVector high) {
    return Lanes.floats(Lanes.lowBits(low).or(high.and(12).lanewise(VectorOperators.LSHL, 2)));
  }

  private static FloatVector third(IntVector low, IntVector high) {
    return Lanes.floats(Lanes.highBits(low).or(high.and(48)));
  }

  private static FloatVector fourth(IntVector low, IntVector high) {
    return Lanes.floats(Lanes.highBits(low).or(high.and(192).lanewise(VectorOperators.LSHR, 2)));
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
      float d = Lanes.half(w, block + 208);
      FloatVector products = Lanes.zero();
      for (int part = 0; part < 4; part++) {
        int half = part >>> 1;
        int run = part & 1;
        long low = block + 64L * half + 16L * run;
        long high = block + HIGH + 32L * half + 16L * run;
        long scales = block + SCALES + 8L * half + run;
        int at = x + 256 * b + 128 * half + 16 * run;
        int sums = prepared + (16 * b + 8 * half + run) * Lanes.LENGTH;
        products = dot(w, low, high, scales, memory, at, sums, products);
      }
      sum = products.fma(Lanes.broadcast(d), sum);
    }
    return Lanes.sum(sum);
  }

  /** Adds the products of four runs of 16 numbers, 32 apart. */
  private static FloatVector dot(
      MemorySegment w,
      long low,
      long high,
      long scales,
      float[] memory,
      int at,
      int sums,
      FloatVector start) {
    FloatVector p0 = Lanes.load(memory, sums);
    FloatVector p1 = Lanes.load(memory, sums + 2 * Lanes.LENGTH);
    FloatVector p2 = Lanes.load(memory, sums + 4 * Lanes.LENGTH);
    FloatVector p3 = Lanes.load(memory, sums + 6 * Lanes.LENGTH);
    for (int i = 0; i < 16; i += Lanes.LENGTH) {
      IntVector a = Lanes.unsignedBytes(w, low + i);
      IntVector b = Lanes.unsignedBytes(w, low + 32 + i);
      IntVector h = Lanes.unsignedBytes(w, high + i);
      int from = at + i;
      p0 = first(a, h).fma(Lanes.load(memory, from), p0);
      p1 = second(b, h).fma(Lanes.load(memory, from + 32), p1);
      p2 = third(a, h).fma(Lanes.load(memory, from + 64), p2);
      p3 = fourth(b, h).fma(Lanes.load(memory, from + 96), p3);
    }
    FloatVector sum = p0.fma(scale(w, scales), start);
    sum = p1.fma(scale(w, scales + 2), sum);
    sum = p2.fma(scale(w, scales + 4), sum);
    return p3.fma(scale(w, scales + 6), sum);
  }

  private static FloatVector scale(MemorySegment w, long at) {
    return Lanes.broadcast(w.get(ValueLayout.JAVA_BYTE, at));
  }
}
