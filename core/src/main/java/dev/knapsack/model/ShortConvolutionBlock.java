package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Computes {@link ShortConvolution}: channels and sequences by all workers. */
final class ShortConvolutionBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** Channels that are convolved as one part of the work. */
  private static final int CHANNELS = 128;

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
    Compute.Input input = compute.input(x);
    weights.before().apply(blocks, input, before);
    weights.after().apply(blocks, input, after);
    weights.input().apply(blocks, input, mixed);
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), width);
    Recurrence.each(
        compute,
        Recurrence.of(runs, weights.state()),
        width,
        CHANNELS,
        (run, channel, worker) -> {
          multiply(run, channel, mixed, before);
          weights.convolution().apply(channel, run, mixed, convolved);
          multiply(run, channel, convolved, after);
        });
    weights.output().apply(blocks, compute.input(convolved), delta);
  }

  /** {@code x *= y} in a channel of a run's rows. */
  private static void multiply(Recurrence run, int channel, Matrix x, Matrix y) {
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      long at = (long) row * x.columns() + channel;
      float product = x.data().getAtIndex(FLOAT, at) * y.data().getAtIndex(FLOAT, at);
      x.data().setAtIndex(FLOAT, at, product);
    }
  }
}
