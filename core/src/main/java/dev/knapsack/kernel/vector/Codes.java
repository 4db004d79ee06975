package dev.knapsack.kernel.vector;

import jdk.incubator.vector.FloatVector;

/**
 * The dot product of a row whose codes were laid out in scratch memory as signed bytes, four to a
 * float, with a scale for each 16.
 *
 * <p>Two passes over a row cost less than one: codes that lie in several places are taken apart as
 * bytes, many at a time, before they become floats, few at a time; and in a loop over nothing but
 * an array the compiler checks bounds once.
 */
final class Codes {
  private Codes() {}

  /** Two sums hide the latency of an addition. */
  static float dot(float[] memory, int codes, int scales, int x, int columns) {
    FloatVector even = Lanes.zero();
    FloatVector odd = Lanes.zero();
    for (int g = 0; g < columns / 32; g++) {
      FloatVector a = products(memory, codes + 8 * g, x + 32 * g);
      even = a.fma(Lanes.broadcast(memory[scales + 2 * g]), even);
      FloatVector b = products(memory, codes + 8 * g + 4, x + 32 * g + 16);
      odd = b.fma(Lanes.broadcast(memory[scales + 2 * g + 1]), odd);
    }
    return Lanes.sum(even.add(odd));
  }

  /** Of a group, in one vector. */
  private static FloatVector products(float[] memory, int q, int x) {
    FloatVector sum = Lanes.signedBytes(memory, q).mul(Lanes.load(memory, x));
    if (Lanes.LENGTH <= 8) {
      sum =
          Lanes.signedBytes(memory, q + Lanes.LENGTH / 4)
              .fma(Lanes.load(memory, x + Lanes.LENGTH), sum);
    }
    if (Lanes.LENGTH <= 4) {
      sum = Lanes.signedBytes(memory, q + 2).fma(Lanes.load(memory, x + 8), sum);
      sum = Lanes.signedBytes(memory, q + 3).fma(Lanes.load(memory, x + 12), sum);
    }
    return sum;
  }
}
