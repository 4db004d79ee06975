package dev.knapsack.kernel.vector;

import jdk.incubator.vector.FloatVector;

/**
 * Fused multiply-adds of ones in registers alone: the peak of the one instruction that all products
 * here are made of.
 *
 * <p>Eight sums are under way at once, as many as there are steps of a multiply-add in flight on a
 * processor that begins two of them at a time.
 */
final class Ones {
  private static final int ROUNDS = 32_768;

  private Ones() {}

  /** Does them, and counts them by their sum. */
  static double multiplyAdd() {
    FloatVector one = FloatVector.broadcast(Lanes.F, 1);
    FloatVector a = FloatVector.zero(Lanes.F);
    FloatVector b = a;
    FloatVector c = a;
    FloatVector d = a;
    FloatVector e = a;
    FloatVector f = a;
    FloatVector g = a;
    FloatVector h = a;
    for (int i = 0; i < ROUNDS; i++) {
      a = one.fma(one, a);
      b = one.fma(one, b);
      c = one.fma(one, c);
      d = one.fma(one, d);
      e = one.fma(one, e);
      f = one.fma(one, f);
      g = one.fma(one, g);
      h = one.fma(one, h);
    }
    FloatVector sum = a.add(b).add(c.add(d)).add(e.add(f).add(g.add(h)));
    float[] lanes = sum.toArray();
    double all = 0;
    for (float lane : lanes) {
      all += lane;
    }
    return all;
  }
}
