package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;

/** Computes {@link ShortConvolution} and {@link TextConvolution}: channels by all workers. */
final class ShortConvolutionBlock {
  private final Blocks blocks;
  private final Compute compute;

  ShortConvolutionBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /**
   * Convolves each run's tokens with those before.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(ShortConvolution.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    int width = weights.spec().width();
    Matrix before = blocks.matrix(Slot.GATE, x.rows(), width);
    Matrix after = blocks.matrix(Slot.OUTPUT_GATE, x.rows(), width);
    Matrix mixed = blocks.matrix(Slot.MIXED, x.rows(), width);
    Linear.apply(
        blocks,
        compute.input(x),
        weights.before().into(before),
        weights.after().into(after),
        weights.input().into(mixed));
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), width);
    blocks.convolutions.apply(
        weights.convolution(),
        Recurrence.of(runs, weights.state()),
        mixed,
        new Convolutions.Gates(before, after),
        convolved);
    weights.output().apply(blocks, compute.input(convolved), delta);
  }

  /**
   * Convolves each run's tokens with those before, of a text that is all there.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives the result
   */
  void apply(TextConvolution.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    TextConvolution spec = weights.spec();
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.width());
    List<Recurrence> texts =
        Recurrence.whole(
            runs.stream().mapToInt(Run::length), Convolution.carried(spec.taps(), spec.width()));
    blocks.convolutions.apply(weights.convolution(), texts, x, null, convolved);
    weights.output().apply(blocks, compute.input(convolved), delta);
  }
}
