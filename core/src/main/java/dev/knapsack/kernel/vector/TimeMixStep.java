package dev.knapsack.kernel.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** A step of RWKV 7 in some columns of a state. */
final class TimeMixStep {
  private TimeMixStep() {}

  /** Four, so that their sums need not wait for each other. */
  static void fourVectors(
      float[] query,
      float[] key,
      float[] decay,
      float[] removed,
      float[] written,
      float[] value,
      float[] state,
      float[] out,
      int column) {
    int columns = value.length;
    int second = Lanes.LENGTH;
    int third = 2 * Lanes.LENGTH;
    int fourth = 3 * Lanes.LENGTH;
    FloatVector gone0 = Lanes.zero();
    FloatVector gone1 = Lanes.zero();
    FloatVector gone2 = Lanes.zero();
    FloatVector gone3 = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      FloatVector r = Lanes.broadcast(-removed[n]);
      gone0 = r.fma(Lanes.load(state, at), gone0);
      gone1 = r.fma(Lanes.load(state, at + second), gone1);
      gone2 = r.fma(Lanes.load(state, at + third), gone2);
      gone3 = r.fma(Lanes.load(state, at + fourth), gone3);
    }
    FloatVector value0 = Lanes.load(value, column);
    FloatVector value1 = Lanes.load(value, column + second);
    FloatVector value2 = Lanes.load(value, column + third);
    FloatVector value3 = Lanes.load(value, column + fourth);
    FloatVector sum0 = Lanes.zero();
    FloatVector sum1 = Lanes.zero();
    FloatVector sum2 = Lanes.zero();
    FloatVector sum3 = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      FloatVector kept = Lanes.broadcast(decay[n]);
      FloatVector w = Lanes.broadcast(written[n]);
      FloatVector k = Lanes.broadcast(key[n]);
      FloatVector q = Lanes.broadcast(query[n]);
      sum0 = q.fma(next(state, at, kept, w, gone0, k, value0), sum0);
      sum1 = q.fma(next(state, at + second, kept, w, gone1, k, value1), sum1);
      sum2 = q.fma(next(state, at + third, kept, w, gone2, k, value2), sum2);
      sum3 = q.fma(next(state, at + fourth, kept, w, gone3, k, value3), sum3);
    }
    Lanes.store(sum0, out, column);
    Lanes.store(sum1, out, column + second);
    Lanes.store(sum2, out, column + third);
    Lanes.store(sum3, out, column + fourth);
  }

  /** {@code s = kept · s + written · gone + key · value}. */
  private static FloatVector next(
      float[] state,
      int at,
      FloatVector kept,
      FloatVector written,
      FloatVector gone,
      FloatVector key,
      FloatVector value) {
    FloatVector next = kept.fma(Lanes.load(state, at), written.fma(gone, key.mul(value)));
    Lanes.store(next, state, at);
    return next;
  }

  static void vector(
      float[] query,
      float[] key,
      float[] decay,
      float[] removed,
      float[] written,
      float[] value,
      float[] state,
      float[] out,
      int column,
      VectorMask<Float> some) {
    int columns = value.length;
    FloatVector gone = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      gone = Lanes.broadcast(-removed[n]).fma(Lanes.load(state, at, some), gone);
    }
    FloatVector v = Lanes.load(value, column, some);
    FloatVector sum = Lanes.zero();
    for (int n = 0, at = column; n < key.length; n++, at += columns) {
      FloatVector added = Lanes.broadcast(written[n]).fma(gone, Lanes.broadcast(key[n]).mul(v));
      FloatVector s = Lanes.broadcast(decay[n]).fma(Lanes.load(state, at, some), added);
      Lanes.store(s, state, at, some);
      sum = Lanes.broadcast(query[n]).fma(s, sum);
    }
    Lanes.store(sum, out, column, some);
  }
}
