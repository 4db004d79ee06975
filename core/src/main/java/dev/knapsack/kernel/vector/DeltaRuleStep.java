package dev.knapsack.kernel.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** A step of the gated delta rule in some columns of a state. */
final class DeltaRuleStep {
  private DeltaRuleStep() {}

  /** Four, so that their sums need not wait for each other. */
  static void fourVectors(
      float[] query,
      float[] key,
      float[] decay,
      float strength,
      float[] value,
      float[] state,
      float[] out,
      int column) {
    int columns = value.length;
    int second = Lanes.LENGTH;
    int third = 2 * Lanes.LENGTH;
    int fourth = 3 * Lanes.LENGTH;
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    FloatVector c = Lanes.zero();
    FloatVector d = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      FloatVector k = Lanes.broadcast(key[n] * decay[n]);
      a = k.fma(Lanes.load(state, at), a);
      b = k.fma(Lanes.load(state, at + second), b);
      c = k.fma(Lanes.load(state, at + third), c);
      d = k.fma(Lanes.load(state, at + fourth), d);
    }
    FloatVector part = Lanes.broadcast(strength);
    a = Lanes.load(value, column).sub(a).mul(part);
    b = Lanes.load(value, column + second).sub(b).mul(part);
    c = Lanes.load(value, column + third).sub(c).mul(part);
    d = Lanes.load(value, column + fourth).sub(d).mul(part);
    FloatVector w = Lanes.zero();
    FloatVector x = Lanes.zero();
    FloatVector y = Lanes.zero();
    FloatVector z = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      FloatVector kept = Lanes.broadcast(decay[n]);
      FloatVector k = Lanes.broadcast(key[n]);
      FloatVector q = Lanes.broadcast(query[n]);
      w = q.fma(next(state, at, kept, k, a), w);
      x = q.fma(next(state, at + second, kept, k, b), x);
      y = q.fma(next(state, at + third, kept, k, c), y);
      z = q.fma(next(state, at + fourth, kept, k, d), z);
    }
    Lanes.store(w, out, column);
    Lanes.store(x, out, column + second);
    Lanes.store(y, out, column + third);
    Lanes.store(z, out, column + fourth);
  }

  static void vector(
      float[] query,
      float[] key,
      float[] decay,
      float strength,
      float[] value,
      float[] state,
      float[] out,
      int column,
      VectorMask<Float> some) {
    int columns = value.length;
    FloatVector known = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      known = Lanes.broadcast(key[n] * decay[n]).fma(Lanes.load(state, at, some), known);
    }
    FloatVector correction = Lanes.load(value, column, some).sub(known).mul(strength);
    FloatVector sum = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      FloatVector s = Lanes.load(state, at, some);
      s = Lanes.broadcast(decay[n]).fma(s, Lanes.broadcast(key[n]).mul(correction));
      Lanes.store(s, state, at, some);
      sum = Lanes.broadcast(query[n]).fma(s, sum);
    }
    Lanes.store(sum, out, column, some);
  }

  /** {@code s = kept · s + k · correction}. */
  private static FloatVector next(
      float[] state, int at, FloatVector kept, FloatVector k, FloatVector correction) {
    FloatVector next = kept.fma(Lanes.load(state, at), k.mul(correction));
    Lanes.store(next, state, at);
    return next;
  }
}
