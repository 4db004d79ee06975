package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
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

  /** The convolved rows and what is selected of each; {@code y} receives the results. */
  private record Rows(Matrix x, Matrix step, Matrix b, Matrix c, Matrix y) {}

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
    StateSpaceBlock.convolve(compute, weights.convolution(), all, mixed, convolved);
    Rows rows = select(weights, convolved);
    Recurrence.each(
        compute,
        all,
        Math.ceilDiv(spec.inner(), CHANNELS),
        1,
        (run, part, worker) -> scan(weights, run, part * CHANNELS, rows, scratch(worker, spec)));
    compute.gatedActivation(Activation.SILU, gate, rows.y, gate);
    weights.output().apply(blocks, compute.input(gate), delta);
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

  /** Numbers of the channels that a worker is at; those of a state for each number of B. */
  private record Scratch(
      float[] stored,
      float[] decay,
      float[] state,
      float[] step,
      float[] kept,
      float[] in,
      float[] x,
      float[] skip,
      float[] y) {
    static Scratch of(int channels, int state) {
      return new Scratch(
          new float[channels * state],
          new float[channels * state],
          new float[channels * state],
          new float[channels],
          new float[channels],
          new float[channels],
          new float[channels],
          new float[channels],
          new float[channels]);
    }
  }

  private Scratch scratch(int worker, SelectiveScan spec) {
    int channels = Math.min(CHANNELS, spec.inner());
    Scratch scratch = scratches[worker];
    if (scratch == null
        || scratch.x.length != channels
        || scratch.state.length != channels * spec.state()) {
      scratch = Scratch.of(channels, spec.state());
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** Some channels' rows, one after the other. */
  private static void scan(
      SelectiveScan.Weights weights, Recurrence run, int first, Rows rows, Scratch scratch) {
    SelectiveScan spec = weights.spec();
    int count = Math.min(CHANNELS, spec.inner() - first);
    float[] state = scratch.state;
    readDecays(weights.decay(), first, count, scratch);
    MemorySegment.copy(weights.skip().data(), FLOAT, 4L * first, scratch.skip, 0, count);
    for (int n = 0; n < spec.state(); n++) {
      MemorySegment.copy(run.before(), FLOAT, place(spec, n, first), state, n * count, count);
    }
    for (int row = 0; row < run.rows(); row++) {
      long token = (long) run.first() + row;
      long channels = 4 * (token * spec.inner() + first);
      MemorySegment.copy(rows.x.data(), FLOAT, channels, scratch.x, 0, count);
      MemorySegment.copy(rows.step.data(), FLOAT, channels, scratch.step, 0, count);
      for (int i = 0; i < count; i++) {
        scratch.step[i] = (float) StateSpaceBlock.softplus(scratch.step[i]);
        scratch.in[i] = scratch.step[i] * scratch.x[i];
        scratch.y[i] = scratch.skip[i] * scratch.x[i];
      }
      for (int n = 0; n < spec.state(); n++) {
        int at = n * count;
        for (int i = 0; i < count; i++) {
          scratch.kept[i] = (float) Math.exp((double) scratch.step[i] * scratch.decay[at + i]);
        }
        float b = rows.b.data().getAtIndex(FLOAT, token * spec.state() + n);
        float c = rows.c.data().getAtIndex(FLOAT, token * spec.state() + n);
        advance(state, at, count, scratch.kept, scratch.in, b, c, scratch.y);
      }
      MemorySegment.copy(scratch.y, 0, rows.y.data(), FLOAT, channels, count);
      if (row + 1 == run.added()) {
        for (int n = 0; n < spec.state(); n++) {
          MemorySegment.copy(state, n * count, run.after(), FLOAT, place(spec, n, first), count);
        }
      }
    }
  }

  /** The place of channels' numbers for one of B in a layer's state, in bytes. */
  private static long place(SelectiveScan spec, int n, int channel) {
    return Float.BYTES * (spec.convolved() + (long) n * spec.inner() + channel);
  }

  /** Reads the decays of channels, which lie channel by channel, number of B by number. */
  private static void readDecays(Matrix decays, int first, int count, Scratch scratch) {
    int state = decays.columns();
    long from = Float.BYTES * (long) first * state;
    MemorySegment.copy(decays.data(), FLOAT, from, scratch.stored, 0, count * state);
    for (int n = 0; n < state; n++) {
      for (int i = 0; i < count; i++) {
        scratch.decay[n * count + i] = scratch.stored[i * state + n];
      }
    }
  }

  /** {@code h = kept · h + b · in}, and {@code y += c · h}, over channels. */
  private static void advance(
      float[] state, int at, int count, float[] kept, float[] in, float b, float c, float[] y) {
    for (int i = 0; i < count; i++) {
      float h = kept[i] * state[at + i] + b * in[i];
      state[at + i] = h;
      y[i] += c * h;
    }
  }
}
