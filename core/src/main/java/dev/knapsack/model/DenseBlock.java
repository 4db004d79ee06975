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
    int hidden = weights.spec().hidden();
    Matrix up = blocks.matrix(Slot.UP, x.rows(), hidden);
    Compute.Input input = compute.input(x);
    Linear gates = weights.gate();
    Matrix gate = gates == null ? null : blocks.matrix(Slot.GATE, x.rows(), hidden);
    if (gates == null || gate == null) {
      weights.up().apply(blocks, input, up);
    } else {
      Linear.apply(blocks, input, gates.into(gate), weights.up().into(up));
    }
    Matrix inner = blocks.activate(weights.spec().function(), gate, up);
    blocks.norm(inner, weights.hiddenNorm(), hidden, inner);
    weights.down().apply(blocks, compute.input(inner), delta);
  }
}
