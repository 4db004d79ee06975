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
  private static final int CHANNELS = 128;

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
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.mixedColumns());
    Recurrence.each(
        compute,
        all,
        spec.mixedColumns(),
        CHANNELS,
        (run, channel, worker) -> convolve(weights, run, channel, mixed, convolved));
    Matrix scanned = blocks.matrix(Slot.SCANNED, x.rows(), spec.inner());
    Recurrence.each(
        compute,
        all,
        spec.heads(),
        1,
        (run, head, worker) ->
            scan(weights, run, head, convolved, step, scanned, scratch(worker, spec)));
    compute.gatedActivation(Activation.SILU, gate, scanned, gate);
    compute.rows(gate.rows(), gate.columns(), (from, to) -> norm(weights, gate, from, to));
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  private static void convolve(
      StateSpace.Weights weights, Recurrence run, int channel, Matrix mixed, Matrix convolved) {
    weights.convolution().apply(channel, run, mixed, convolved);
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      long at = (long) row * convolved.columns() + channel;
      double number = convolved.data().getAtIndex(FLOAT, at);
      convolved.data().setAtIndex(FLOAT, at, (float) (number / (1 + Math.exp(-number))));
    }
  }

  /** Numbers of a head that a worker is at: in arrays the compiler finds several to do at once. */
  private record Scratch(float[] state, float[] x, float[] y) {}

  private Scratch scratch(int worker, StateSpace spec) {
    int size = spec.headSize();
    Scratch scratch = scratches[worker];
    if (scratch == null
        || scratch.x.length != size
        || scratch.state.length != size * spec.state()) {
      scratch = new Scratch(new float[size * spec.state()], new float[size], new float[size]);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** A head's rows, one after the other. Its state lies channel by channel for each number of B. */
  private static void scan(
      StateSpace.Weights weights,
      Recurrence run,
      int head,
      Matrix convolved,
      Matrix step,
      Matrix scanned,
      Scratch scratch) {
    StateSpace spec = weights.spec();
    int size = spec.headSize();
    int group = head / (spec.heads() / spec.groups());
    int b = spec.inner() + group * spec.state();
    int c = b + spec.groups() * spec.state();
    float shift = weights.stepBias().data().getAtIndex(FLOAT, head);
    double decay = weights.decay().data().getAtIndex(FLOAT, head);
    float skip = weights.skip().data().getAtIndex(FLOAT, head);
    float[] state = scratch.state;
    float[] x = scratch.x;
    float[] y = scratch.y;
    long at = Float.BYTES * ((long) spec.convolved() + (long) head * state.length);
    MemorySegment.copy(run.before(), FLOAT, at, state, 0, state.length);
    for (int row = 0; row < run.rows(); row++) {
      long token = (long) run.first() + row;
      double delta = softplus(step.data().getAtIndex(FLOAT, token * spec.heads() + head) + shift);
      float kept = (float) Math.exp(delta * decay);
      long numbers = token * convolved.columns();
      MemorySegment.copy(
          convolved.data(), FLOAT, Float.BYTES * (numbers + (long) head * size), x, 0, size);
      for (int i = 0; i < size; i++) {
        y[i] = skip * x[i];
      }
      for (int n = 0; n < spec.state(); n++) {
        float in = (float) (delta * convolved.data().getAtIndex(FLOAT, numbers + b + n));
        float out = convolved.data().getAtIndex(FLOAT, numbers + c + n);
        advance(state, n * size, kept, in, x, out, y);
      }
      MemorySegment.copy(
          y,
          0,
          scanned.data(),
          FLOAT,
          Float.BYTES * (token * spec.inner() + (long) head * size),
          size);
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

  private static double softplus(double x) {
    return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  }

  /** Norms the groups of rows, each with factors of its own. */
  private void norm(StateSpace.Weights weights, Matrix x, int from, int to) {
    Matrix factors = weights.groupNorm();
    int size = factors.columns();
    for (int row = from; row < to; row++) {
      for (int column = 0; column < x.columns(); column += size) {
        long at = (long) row * x.columns() + column;
        double squares = 0;
        for (int i = 0; i < size; i++) {
          double number = x.data().getAtIndex(FLOAT, at + i);
          squares += number * number;
        }
        double scale = 1 / Math.sqrt(squares / size + blocks.epsilon());
        for (int i = 0; i < size; i++) {
          float number = x.data().getAtIndex(FLOAT, at + i);
          float factor = factors.data().getAtIndex(FLOAT, column + i);
          x.data().setAtIndex(FLOAT, at + i, (float) (number * scale) * factor);
        }
      }
    }
  }
}
