package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;

/** Computes {@link PerLayerInputs}, once in a step, and {@link PerLayerInput} of each layer. */
final class PerLayerBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final WeightSource source;

  PerLayerBlock(Blocks blocks, WeightSource source) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.source = source;
  }

  /**
   * Makes the inputs of all layers: the mean of what the embedding and the table say, times √2.
   *
   * @param ids tokens, as many as {@code x} has rows
   * @param x their embeddings
   */
  void prepare(PerLayerInputs.Weights weights, int[] ids, Matrix x) {
    PerLayerInputs spec = weights.spec();
    Matrix inputs = blocks.matrix(Slot.PER_LAYER, x.rows(), spec.columns());
    compute.matmul(weights.projection(), x, inputs);
    compute.scale(inputs, (float) (1 / Math.sqrt(spec.width())));
    blocks.norm(inputs, weights.norm(), spec.size(), inputs);
    Matrix rows = blocks.matrix(Slot.GATHERED, x.rows(), spec.columns());
    source.gather(PerLayerInputs.TABLE, ids, rows);
    compute.add(inputs, rows, (float) Math.sqrt(spec.size()));
    compute.scale(inputs, (float) Math.sqrt(0.5));
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(PerLayerInput.Weights weights, Matrix x, Matrix delta) {
    PerLayerInputs inputs = weights.spec().inputs();
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), inputs.size());
    Matrix own = blocks.matrix(Slot.UP, x.rows(), inputs.size());
    Matrix all = blocks.matrix(Slot.PER_LAYER, x.rows(), inputs.columns());
    for (int t = 0; t < x.rows(); t++) {
      long from = all.rowOffset(t) + weights.layer() * own.rowBytes();
      MemorySegment.copy(all.data(), from, own.data(), own.rowOffset(t), own.rowBytes());
    }
    weights.gate().apply(blocks, compute.input(x), gate);
    compute.gatedActivation(weights.spec().activation(), gate, own, gate);
    weights.projection().apply(blocks, compute.input(gate), delta);
  }
}
