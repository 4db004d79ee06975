package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Compute.Product;
import dev.knapsack.model.Workspace.Slot;
import dev.knapsack.tensor.Matrix;

/** The MLP that every token goes through: {@code down(activation(gate(x)) · up(x))}. */
final class DenseBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final String gateWeight;
  private final String gateBias;
  private final String upWeight;
  private final String upBias;
  private final String downWeight;
  private final String downBias;

  /**
   * @param kind what the tensors' names have after {@code ffn_gate}: nothing, or {@code _shexp}
   */
  DenseBlock(Blocks blocks, String kind) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.gateWeight = "ffn_gate" + kind + ".weight";
    this.gateBias = "ffn_gate" + kind + ".bias";
    this.upWeight = "ffn_up" + kind + ".weight";
    this.upBias = "ffn_up" + kind + ".bias";
    this.downWeight = "ffn_down" + kind + ".weight";
    this.downBias = "ffn_down" + kind + ".bias";
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(int width, Activation activation, LayerWeights weights, Matrix x, Matrix delta) {
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), width);
    Matrix up = blocks.matrix(Slot.UP, x.rows(), width);
    Compute.Input input = compute.input(x);
    if (weights.find(gateWeight) != null) {
      compute.matmul(
          input,
          new Product(weights.get(gateWeight), gate),
          new Product(weights.get(upWeight), up));
      blocks.addBias(gate, weights.find(gateBias), 0);
      blocks.addBias(up, weights.find(upBias), 0);
    } else {
      Matrix fused = weights.get(upWeight);
      compute.matmul(
          input,
          new Product(fused.rows(0, width), gate),
          new Product(fused.rows(width, 2 * width), up));
    }
    compute.gatedActivation(activation, gate, up, gate);
    blocks.project(weights, downWeight, downBias, compute.input(gate), delta);
  }
}
