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

  /** Of each byte in a word: the bits of a low half, and those above it. */
  private static final int LOW = 0x0F0F0F0F;

  private static final int TOP = 0x30303030;

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
    groupSums(memory, x, prepared, columns, 16, -32);
  }

  @Override
  float dot(MemorySegment w, long offset, float[] memory, int x, int prepared, int columns) {
    int codes = prepared + columns / 16;
    int scales = codes + columns / 4;
    for (int b = 0; b < columns / 256; b++) {
      long block = offset + (long) b * BLOCK;
      codes(w, block, block + HIGH, memory, codes + 64 * b);
      codes(w, block + 64, block + HIGH + 32, memory, codes + 64 * b + 32);
      scales(w, block, memory, scales + 16 * b);
    }
    float less = dot(memory, scales, prepared, columns / 16);
    return less + Codes.dot(memory, codes, scales, x, columns);
  }

  /** Takes 128 codes apart. In two methods, as the compiler inlines only so much at a time. */
  private static void codes(MemorySegment w, long low, long high, float[] memory, int to) {
    for (int i = 0; i < 32; i += Lanes.PACKED_BYTES) {
      lows(w, low + i, high + i, memory, to + i / Float.BYTES);
      highs(w, low + i, high + i, memory, to + 16 + i / Float.BYTES);
    }
  }

  private static void lows(MemorySegment w, long low, long high, float[] memory, int to) {
    IntVector tops = Lanes.packed(w, high);
    IntVector a = Lanes.packed(w, low).and(LOW);
    IntVector b = Lanes.packed(w, low + 32).and(LOW);
    a.or(tops.lanewise(VectorOperators.LSHL, 4).and(TOP))
        .reinterpretAsFloats()
        .intoArray(memory, to);
    b.or(tops.lanewise(VectorOperators.LSHL, 2).and(TOP))
        .reinterpretAsFloats()
        .intoArray(memory, to + 8);
  }

  private static void highs(MemorySegment w, long low, long high, float[] memory, int to) {
    IntVector tops = Lanes.packed(w, high);
    IntVector a = Lanes.packed(w, low).lanewise(VectorOperators.LSHR, 4).and(LOW);
    IntVector b = Lanes.packed(w, low + 32).lanewise(VectorOperators.LSHR, 4).and(LOW);
    a.or(tops.and(TOP)).reinterpretAsFloats().intoArray(memory, to);
    b.or(tops.lanewise(VectorOperators.LSHR, 2).and(TOP))
        .reinterpretAsFloats()
        .intoArray(memory, to + 8);
  }

  private static void scales(MemorySegment w, long block, float[] memory, int to) {
    float d = Lanes.half(w, block + 208);
    for (int i = 0; i < 16; i += Lanes.LENGTH) {
      Lanes.store(Lanes.signedBytes(w, block + SCALES + i).mul(d), memory, to + i);
    }
  }
}
