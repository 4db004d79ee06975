package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;

/** Computes {@link ChannelMix}. */
final class ChannelMixBlock {
  private final Blocks blocks;
  private final Compute compute;

  ChannelMixBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /**
   * Computes {@code delta} from {@code x} and the rows before.
   *
   * @param x the normed residual stream, one row a token, run after run
   */
  void apply(ChannelMix.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    ChannelMix spec = weights.spec();
    Matrix back = blocks.matrix(Slot.BACK, x.rows(), spec.width());
    TokenShift.back(compute, Recurrence.of(runs, weights.state()), x, back);
    Matrix mixed = blocks.matrix(Slot.MIXED, x.rows(), spec.width());
    compute.mix(x, back, weights.share().data(), mixed);
    Matrix hidden = blocks.matrix(Slot.UP, x.rows(), spec.hidden());
    weights.key().apply(blocks, compute.input(mixed), hidden);
    compute.activate(Activation.RELU_SQUARED, hidden);
    weights.value().apply(blocks, compute.input(hidden), delta);
  }
}
