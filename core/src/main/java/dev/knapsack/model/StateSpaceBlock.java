package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Computes {@link StateSpace}: a sequence's tokens one after the other, so that what comes out does
 * not depend on how many a step takes; heads and sequences by all workers.
 */
final class StateSpaceBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** Channels that are convolved as one part of the work. */
  static final int CHANNELS = 128;

  private final Blocks blocks;
  private final Compute compute;

  private final @Nullable Scratch[] scratches;

  StateSpaceBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.scratches = new Scratch[compute.team().workers()];
  }

  /**
   * Carries each run's state through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(StateSpace.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    StateSpace spec = weights.spec();
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), spec.inner());
    Matrix mixed = blocks.matrix(Slot.MIXED, x.rows(), spec.mixedColumns());
    Matrix step = blocks.matrix(Slot.STEP, x.rows(), spec.heads());
    Compute.Input input = compute.input(x);
    weights.gate().apply(blocks, input, gate);
    weights.mixed().apply(blocks, input, mixed);
    weights.step().apply(blocks, input, step);
    compute.addBias(step, weights.stepBias().data());
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.mixedColumns());
    convolve(compute, weights.convolution(), all, mixed, convolved);
    Matrix scanned = blocks.matrix(Slot.SCANNED, x.rows(), spec.inner());
    int b = spec.inner();
    int c = b + spec.groups() * spec.state();
    scan(weights.heads(), all, new Rows(convolved, convolved, b, convolved, c, step, scanned));
    compute.gatedActivation(Activation.SILU, gate, scanned, gate);
    blocks.normGroups(gate, weights.groupNorm());
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  /**
   * The rows that heads are scanned by.
   *
   * @param x all heads', in the first columns
   * @param firstB the column where those of B begin in {@code b}, group after group
   * @param firstC likewise
   * @param step Δ of each head, before its softplus
   * @param y receives the results
   */
  record Rows(Matrix x, Matrix b, int firstB, Matrix c, int firstC, Matrix step, Matrix y) {}

  /** Carries the states of all heads through the runs' rows. */
  void scan(StateSpace.Heads heads, List<Recurrence> runs, Rows rows) {
    Recurrence.each(
        compute,
        runs,
        heads.count(),
        1,
        (run, head, worker) -> scan(heads, run, head, rows, scratch(worker, heads)));
  }

  /** Convolves all channels of the runs' rows, and takes silu of that. */
  static void convolve(
      Compute compute, Convolution convolution, List<Recurrence> runs, Matrix x, Matrix out) {
    Recurrence.each(
        compute,
        runs,
        x.columns(),
        CHANNELS,
        (run, channel, worker) -> {
          convolution.apply(channel, run, x, out);
          silu(run, channel, out);
        });
  }

  private static void silu(Recurrence run, int channel, Matrix x) {
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      long at = (long) row * x.columns() + channel;
      double number = x.data().getAtIndex(FLOAT, at);
      x.data().setAtIndex(FLOAT, at, (float) (number / (1 + Math.exp(-number))));
    }
  }

  /** Numbers of a head that a worker is at: in arrays the compiler finds several to do at once. */
  private record Scratch(float[] state, float[] x, float[] y) {}

  private Scratch scratch(int worker, StateSpace.Heads heads) {
    int size = heads.size();
    Scratch scratch = scratches[worker];
    if (scratch == null
        || scratch.x.length != size
        || scratch.state.length != size * heads.state()) {
      scratch = new Scratch(new float[size * heads.state()], new float[size], new float[size]);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** A head's rows, one after the other. Its state lies channel by channel for each number of B. */
  private static void scan(
      StateSpace.Heads heads, Recurrence run, int head, Rows rows, Scratch scratch) {
    int size = heads.size();
    int group = head / (heads.count() / heads.groups());
    double decay = heads.decay().data().getAtIndex(FLOAT, head);
    float skip = heads.skip().data().getAtIndex(FLOAT, head);
    float[] state = scratch.state;
    float[] x = scratch.x;
    float[] y = scratch.y;
    long at = Float.BYTES * (heads.place() + (long) head * state.length);
    MemorySegment.copy(run.before(), FLOAT, at, state, 0, state.length);
    for (int row = 0; row < run.rows(); row++) {
      long token = (long) run.first() + row;
      double delta = softplus(rows.step.data().getAtIndex(FLOAT, token * heads.count() + head));
      float kept = (float) Math.exp(delta * decay);
      long from = token * rows.x.columns() + (long) head * size;
      MemorySegment.copy(rows.x.data(), FLOAT, Float.BYTES * from, x, 0, size);
      for (int i = 0; i < size; i++) {
        y[i] = skip * x[i];
      }
      long b = token * rows.b.columns() + rows.firstB + (long) group * heads.state();
      long c = token * rows.c.columns() + rows.firstC + (long) group * heads.state();
      for (int n = 0; n < heads.state(); n++) {
        float in = (float) (delta * rows.b.data().getAtIndex(FLOAT, b + n));
        float out = rows.c.data().getAtIndex(FLOAT, c + n);
        advance(state, n * size, kept, in, x, out, y);
      }
      long to = token * rows.y.columns() + (long) head * size;
      MemorySegment.copy(y, 0, rows.y.data(), FLOAT, Float.BYTES * to, size);
      if (row + 1 == run.added()) {
        MemorySegment.copy(state, 0, run.after(), FLOAT, at, state.length);
      }
    }
  }

  /** {@code s = kept · s + in · x}, and {@code y += out · s}, over the channels of a head. */
  private static void advance(
      float[] state, int at, float kept, float in, float[] x, float out, float[] y) {
    for (int i = 0; i < x.length; i++) {
      float s = kept * state[at + i] + in * x[i];
      state[at + i] = s;
      y[i] += out * s;
    }
  }

  static double softplus(double x) {
    return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  }
}
