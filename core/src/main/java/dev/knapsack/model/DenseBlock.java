package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;

/** Computes {@link Dense}. */
final class DenseBlock {
  private final Blocks blocks;
  private final Compute compute;

  DenseBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(Dense.Weights weights, Matrix x, Matrix delta) {
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), weights.spec().hidden());
    Matrix up = blocks.matrix(Slot.UP, x.rows(), weights.spec().hidden());
    Compute.Input input = compute.input(x);
    Linear.apply(blocks, input, weights.gate().into(gate), weights.up().into(up));
    compute.gatedActivation(weights.spec().activation(), gate, up, gate);
    weights.down().apply(blocks, compute.input(gate), delta);
  }
}
