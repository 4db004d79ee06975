package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Computes {@link LinearGru}: a sequence's tokens one after the other, channels by all workers. */
final class LinearGruBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** Channels that are carried through all rows as one part of the work. */
  private static final int CHANNELS = 128;

  /** The state has a row: it is written by candidates, and read, as it is. */
  private static final float[] ONE = {1};

  private final Blocks blocks;
  private final Compute compute;

  LinearGruBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /**
   * Carries each run's state through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(LinearGru.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    int width = weights.spec().width();
    Matrix forget = blocks.matrix(Slot.STEP, x.rows(), width);
    Matrix candidate = blocks.matrix(Slot.MIXED, x.rows(), width);
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), width);
    Linear.apply(
        blocks,
        compute.input(x),
        weights.forget().into(forget),
        weights.candidate().into(candidate),
        weights.gate().into(gate));
    compute.activate(Activation.SIGMOID, forget);
    compute.activate(Activation.SILU, candidate);
    Matrix scanned = blocks.matrix(Slot.SCANNED, x.rows(), width);
    Recurrence.each(
        compute,
        Recurrence.of(runs, weights.state()),
        Math.ceilDiv(width, CHANNELS),
        (run, part, worker) -> scan(run, part * CHANNELS, forget, candidate, scanned));
    compute.gatedActivation(Activation.SIGMOID, gate, scanned, gate);
    blocks.norm(gate, weights.hiddenNorm(), width, gate);
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  /** Some channels' rows, one after the other. */
  private void scan(Recurrence run, int first, Matrix forget, Matrix candidate, Matrix scanned) {
    int channels = Math.min(CHANNELS, scanned.columns() - first);
    float[] state = new float[channels];
    float[] kept = new float[channels];
    float[] written = new float[channels];
    float[] skip = new float[channels];
    float[] x = new float[channels];
    float[] out = new float[channels];
    long place = (long) Float.BYTES * first;
    MemorySegment.copy(run.before(), FLOAT, place, state, 0, channels);
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      forget.read(row, first, kept);
      candidate.read(row, first, x);
      for (int i = 0; i < channels; i++) {
        written[i] = 1 - kept[i];
      }
      compute.kernels().recurrences().selectiveScan(kept, written, skip, x, ONE, ONE, state, out);
      scanned.write(row, first, out);
      if (row + 1 == run.first() + run.added()) {
        MemorySegment.copy(state, 0, run.after(), FLOAT, place, channels);
      }
    }
  }
}
