package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** The formats whose 4-bit codes choose one of 16 levels: IQ4_NL, IQ4_XS and MXFP4. */
abstract class LevelRow extends RowKernel {
  /** The levels of IQ4_NL and IQ4_XS. */
  static final ByteVector IQ4 =
      levels(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

  /** Twice the values of FP4 (E2M1). */
  static final ByteVector FP4 = levels(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

  private static ByteVector levels(int... values) {
    byte[] bytes = new byte[16];
    for (int i = 0; i < 16; i++) {
      bytes[i] = (byte) values[i];
    }
    return ByteVector.fromArray(ByteVector.SPECIES_128, bytes, 0);
  }

  /**
   * Decodes 32 numbers from 16 bytes: number i in the low half of byte i, number 16 + i in the high
   * half.
   */
  static void group(
      ByteVector levels, float scale, MemorySegment w, long codes, float[] target, int at) {
    ByteVector bytes = ByteVector.fromMemorySegment(ByteVector.SPECIES_128, w, codes, Lanes.LE);
    ByteVector high =
        bytes.reinterpretAsInts().lanewise(VectorOperators.LSHR, 4).reinterpretAsBytes();
    spread(bytes.and((byte) 15).selectFrom(levels), scale, target, at);
    spread(high.and((byte) 15).selectFrom(levels), scale, target, at + 16);
  }

  private static void spread(ByteVector bytes, float scale, float[] target, int at) {
    FloatVector factor = Lanes.broadcast(scale);
    Lanes.store(Lanes.floats(bytes, 0).mul(factor), target, at);
    if (Lanes.LENGTH <= 8) {
      Lanes.store(Lanes.floats(bytes, 1).mul(factor), target, at + Lanes.LENGTH);
    }
    if (Lanes.LENGTH <= 4) {
      Lanes.store(Lanes.floats(bytes, 2).mul(factor), target, at + 2 * Lanes.LENGTH);
      Lanes.store(Lanes.floats(bytes, 3).mul(factor), target, at + 3 * Lanes.LENGTH);
    }
  }
}
