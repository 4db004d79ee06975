package dev.knapsack.model;

import dev.knapsack.cache.RetentionGates;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;

/** The answers of a layer's gate about the tokens of a step. */
final class Retained {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final float[] logs;
  private final int kvHeads;

  private Retained(float[] logs, int kvHeads) {
    this.logs = logs;
    this.kvHeads = kvHeads;
  }

  /** The logarithm of the share of its weight that a token has one token later. */
  float of(int row, int kvHead) {
    return logs[row * kvHeads + kvHead];
  }

  /**
   * Computes it.
   *
   * @param input what keys are projections of
   */
  static Retained of(RetentionGates.Layer gate, Matrix input, Blocks blocks) {
    Compute compute = blocks.compute;
    Matrix units = blocks.matrix(Slot.GATE_UNITS, input.rows(), gate.in().rows());
    compute.matmul(gate.in(), input, units);
    compute.addBias(units, gate.inBias().data());
    for (long i = 0; i < (long) units.rows() * units.columns(); i++) {
      float x = units.data().getAtIndex(FLOAT, i);
      units.data().setAtIndex(FLOAT, i, (float) (x / (1 + Math.exp(-x))));
    }
    Matrix out = blocks.matrix(Slot.GATE_HEADS, input.rows(), gate.out().rows());
    compute.matmul(gate.out(), units, out);
    compute.addBias(out, gate.outBias().data());
    float[] logs = new float[out.rows() * out.columns()];
    for (int i = 0; i < logs.length; i++) {
      double x = out.data().getAtIndex(FLOAT, i);
      // The logarithm of the logistic function, which neither overflows nor loses small numbers.
      logs[i] = (float) (Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))));
    }
    return new Retained(logs, out.columns());
  }
}
