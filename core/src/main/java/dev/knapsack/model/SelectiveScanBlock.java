package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Recurrences;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Computes {@link SelectiveScan}: a sequence's tokens one after the other, so that what comes out
 * does not depend on how many a step takes; channels and sequences by all workers.
 */
final class SelectiveScanBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /**
   * Channels that are carried through all rows as one part of the work: their states, of 16 numbers
   * mostly, stay in a processor's nearest cache meanwhile.
   */
  private static final int CHANNELS = 64;

  private final Blocks blocks;
  private final Compute compute;
  private final @Nullable Scratch[] scratches;

  SelectiveScanBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.scratches = new Scratch[compute.team().workers()];
  }

  /**
   * The rows that channels are scanned by.
   *
   * @param x convolved
   * @param step Δ of each channel, before its softplus, which replaces it
   * @param y receives the results
   */
  record Rows(Matrix x, Matrix step, Matrix b, Matrix c, Matrix y) {}

  /**
   * Carries each run's state through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(SelectiveScan.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    SelectiveScan spec = weights.spec();
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), spec.inner());
    Matrix mixed = blocks.matrix(Slot.MIXED, x.rows(), spec.inner());
    Linear.apply(blocks, compute.input(x), weights.input().into(mixed), weights.gate().into(gate));
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.inner());
    blocks.convolutions.apply(weights.convolution(), all, mixed, null, convolved);
    Rows rows = select(weights, convolved);
    scan(weights.channels(), all, rows);
    compute.gatedActivation(Activation.SILU, gate, rows.y, gate);
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  /** Carries the states of all channels through the runs' rows. */
  void scan(SelectiveScan.Channels channels, List<Recurrence> runs, Rows rows) {
    compute.activate(Activation.SOFTPLUS, rows.step);
    Recurrence.each(
        compute,
        runs,
        Math.ceilDiv(channels.count(), CHANNELS),
        (run, part, worker) -> scan(channels, run, part * CHANNELS, rows, worker));
  }

  private Rows select(SelectiveScan.Weights weights, Matrix x) {
    SelectiveScan spec = weights.spec();
    Matrix lowStep = blocks.matrix(Slot.LOW_RANK, x.rows(), spec.rank());
    Matrix b = blocks.matrix(Slot.STATE_IN, x.rows(), spec.state());
    Matrix c = blocks.matrix(Slot.STATE_OUT, x.rows(), spec.state());
    Linear.apply(
        blocks,
        compute.input(x),
        weights.lowStep().into(lowStep),
        weights.b().into(b),
        weights.c().into(c));
    if (spec.selection() != SelectiveScan.Selection.AS_IT_IS) {
      norm(lowStep, weights.lowStepNorm());
      norm(b, weights.bNorm());
      norm(c, weights.cNorm());
    }
    Matrix step = blocks.matrix(Slot.STEP, x.rows(), spec.inner());
    weights.step().apply(blocks, compute.input(lowStep), step);
    return new Rows(x, step, b, c, blocks.matrix(Slot.SCANNED, x.rows(), spec.inner()));
  }

  private void norm(Matrix x, @Nullable Matrix factors) {
    if (factors == null) {
      blocks.unitNorm(x, x.columns(), x);
    } else {
      blocks.norm(x, factors, x.columns(), x);
    }
  }

  /**
   * Numbers of the channels that a worker is at; those of a state for each number of B.
   *
   * @param stored the decays as a file has them
   */
  private record Scratch(
      float[] stored,
      float[] decay,
      float[] kept,
      float[] state,
      float[] step,
      float[] skip,
      float[] x,
      float[] b,
      float[] c,
      float[] y) {
    static Scratch of(int channels, int state) {
      return new Scratch(
          new float[channels * state],
          new float[channels * state],
          new float[channels * state],
          new float[channels * state],
          new float[channels],
          new float[channels],
          new float[channels],
          new float[state],
          new float[state],
          new float[channels]);
    }
  }

  private Scratch scratch(int worker, int channels, int state) {
    Scratch scratch = scratches[worker];
    if (scratch == null || scratch.x.length != channels || scratch.b.length != state) {
      scratch = Scratch.of(channels, state);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** Some channels' rows, one after the other. */
  private void scan(
      SelectiveScan.Channels channels, Recurrence run, int first, Rows rows, int worker) {
    Recurrences recurrences = compute.kernels().recurrences();
    int count = Math.min(CHANNELS, channels.count() - first);
    Scratch s = scratch(worker, count, channels.state());
    readDecays(channels.decay(), first, s);
    channels.skip().read(0, first, s.skip);
    for (int n = 0; n < channels.state(); n++) {
      MemorySegment.copy(run.before(), FLOAT, place(channels, n, first), s.state, n * count, count);
    }
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      rows.x.read(row, first, s.x);
      rows.step.read(row, first, s.step);
      rows.b.read(row, 0, s.b);
      rows.c.read(row, 0, s.c);
      recurrences.decay(s.decay, s.step, s.kept);
      recurrences.selectiveScan(s.kept, s.step, s.skip, s.x, s.b, s.c, s.state, s.y);
      rows.y.write(row, first, s.y);
      if (row + 1 == run.first() + run.added()) {
        for (int n = 0; n < channels.state(); n++) {
          long to = place(channels, n, first);
          MemorySegment.copy(s.state, n * count, run.after(), FLOAT, to, count);
        }
      }
    }
  }

  /** The place of channels' numbers for one of B in a layer's state, in bytes. */
  private static long place(SelectiveScan.Channels channels, int n, int channel) {
    return Float.BYTES * (channels.place() + (long) n * channels.count() + channel);
  }

  /** Reads the decays of channels, which lie channel by channel, number of B by number. */
  private static void readDecays(Matrix decays, int first, Scratch scratch) {
    int state = scratch.b.length;
    int count = scratch.x.length;
    decays.read(first, 0, scratch.stored);
    for (int n = 0; n < state; n++) {
      for (int i = 0; i < count; i++) {
        scratch.decay[n * count + i] = scratch.stored[i * state + n];
      }
    }
  }
}
