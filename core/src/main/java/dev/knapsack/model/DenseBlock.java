package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Xielu;
import dev.knapsack.tensor.Matrix;
import java.util.Objects;

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
    Matrix inner =
        switch (weights.spec().function()) {
          case Nonlinearity.Gated(Activation activation) -> {
            Matrix gate = blocks.matrix(Slot.GATE, x.rows(), hidden);
            Linear gates = Objects.requireNonNull(weights.gate());
            Linear.apply(blocks, input, gates.into(gate), weights.up().into(up));
            compute.gatedActivation(activation, gate, up, gate);
            yield gate;
          }
          case Nonlinearity.Ungated(Activation activation) -> {
            weights.up().apply(blocks, input, up);
            compute.activate(activation, up);
            yield up;
          }
          case Nonlinearity.Curved(Xielu curve) -> {
            weights.up().apply(blocks, input, up);
            compute.xielu(curve, up);
            yield up;
          }
        };
    blocks.norm(inner, weights.hiddenNorm(), hidden, inner);
    weights.down().apply(blocks, compute.input(inner), delta);
  }
}
