package dev.knapsack.kernel.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** A step of a state space in some columns of a state. */
final class StateSpaceStep {
  private StateSpaceStep() {}

  /** Four, so that their sums need not wait for each other. */
  static void fourVectors(
      float kept,
      float step,
      float skip,
      float[] x,
      float[] b,
      float[] c,
      float[] state,
      float[] out,
      int column) {
    int columns = x.length;
    int second = Lanes.LENGTH;
    int third = 2 * Lanes.LENGTH;
    int fourth = 3 * Lanes.LENGTH;
    FloatVector k = Lanes.broadcast(kept);
    FloatVector in0 = Lanes.load(x, column).mul(step);
    FloatVector in1 = Lanes.load(x, column + second).mul(step);
    FloatVector in2 = Lanes.load(x, column + third).mul(step);
    FloatVector in3 = Lanes.load(x, column + fourth).mul(step);
    FloatVector sum0 = Lanes.load(x, column).mul(skip);
    FloatVector sum1 = Lanes.load(x, column + second).mul(skip);
    FloatVector sum2 = Lanes.load(x, column + third).mul(skip);
    FloatVector sum3 = Lanes.load(x, column + fourth).mul(skip);
    for (int n = 0, at = column; n < b.length; n++, at += columns) {
      FloatVector written = Lanes.broadcast(b[n]);
      FloatVector read = Lanes.broadcast(c[n]);
      sum0 = read.fma(next(state, at, k, written, in0), sum0);
      sum1 = read.fma(next(state, at + second, k, written, in1), sum1);
      sum2 = read.fma(next(state, at + third, k, written, in2), sum2);
      sum3 = read.fma(next(state, at + fourth, k, written, in3), sum3);
    }
    Lanes.store(sum0, out, column);
    Lanes.store(sum1, out, column + second);
    Lanes.store(sum2, out, column + third);
    Lanes.store(sum3, out, column + fourth);
  }

  /** {@code s = kept · s + written · in}. */
  private static FloatVector next(
      float[] state, int at, FloatVector kept, FloatVector written, FloatVector in) {
    FloatVector next = kept.fma(Lanes.load(state, at), written.mul(in));
    Lanes.store(next, state, at);
    return next;
  }

  static void vector(
      float kept,
      float step,
      float skip,
      float[] x,
      float[] b,
      float[] c,
      float[] state,
      float[] out,
      int column,
      VectorMask<Float> some) {
    FloatVector in = Lanes.load(x, column, some).mul(step);
    FloatVector sum = Lanes.load(x, column, some).mul(skip);
    for (int n = 0, at = column; n < b.length; n++, at += x.length) {
      FloatVector s = Lanes.load(state, at, some);
      s = Lanes.broadcast(kept).fma(s, Lanes.broadcast(b[n]).mul(in));
      Lanes.store(s, state, at, some);
      sum = Lanes.broadcast(c[n]).fma(s, sum);
    }
    Lanes.store(sum, out, column, some);
  }
}
