package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;

/** Computes {@link Laurel}. */
final class LaurelBlock {
  private final Blocks blocks;
  private final Compute compute;

  LaurelBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(Laurel.Weights weights, Matrix x, Matrix delta) {
    Matrix few = blocks.matrix(Slot.GATE, x.rows(), weights.spec().rank());
    weights.left().apply(blocks, compute.input(x), few);
    weights.right().apply(blocks, compute.input(few), delta);
    blocks.norm(delta, weights.norm(), delta.columns(), delta);
    compute.add(delta, x);
  }
}
