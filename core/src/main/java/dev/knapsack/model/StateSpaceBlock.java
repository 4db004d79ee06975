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
    Linear.apply(
        blocks,
        compute.input(x),
        weights.gate().into(gate),
        weights.mixed().into(mixed),
        weights.step().into(step));
    compute.addBias(step, weights.stepBias().data());
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.mixedColumns());
    blocks.convolutions.apply(weights.convolution(), all, mixed, null, convolved);
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
   * @param step Δ of each head, before its softplus, which replaces it
   * @param y receives the results
   */
  record Rows(Matrix x, Matrix b, int firstB, Matrix c, int firstC, Matrix step, Matrix y) {}

  /** Carries the states of all heads through the runs' rows. */
  void scan(StateSpace.Heads heads, List<Recurrence> runs, Rows rows) {
    compute.activate(Activation.SOFTPLUS, rows.step);
    Recurrence.each(
        compute,
        runs,
        heads.count(),
        (run, head, worker) -> scan(heads, run, head, rows, scratch(worker, heads)));
  }

  /**
   * Numbers of a head that a worker is at. Its state lies channel by channel for each number of B.
   */
  private record Scratch(float[] state, float[] x, float[] b, float[] c, float[] y) {}

  private Scratch scratch(int worker, StateSpace.Heads heads) {
    int size = heads.size();
    int state = heads.state();
    Scratch scratch = scratches[worker];
    if (scratch == null || scratch.x.length != size || scratch.b.length != state) {
      scratch =
          new Scratch(
              new float[size * state],
              new float[size],
              new float[state],
              new float[state],
              new float[size]);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** A head's rows, one after the other. */
  private void scan(StateSpace.Heads heads, Recurrence run, int head, Rows rows, Scratch s) {
    int column = head * heads.size();
    int group = head / (heads.count() / heads.groups());
    double decay = heads.decay().data().getAtIndex(FLOAT, head);
    float skip = heads.skip().data().getAtIndex(FLOAT, head);
    long at = Float.BYTES * (heads.place() + (long) head * s.state.length);
    MemorySegment.copy(run.before(), FLOAT, at, s.state, 0, s.state.length);
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      rows.x.read(row, column, s.x);
      rows.b.read(row, rows.firstB + group * heads.state(), s.b);
      rows.c.read(row, rows.firstC + group * heads.state(), s.c);
      float length = rows.step.data().getAtIndex(FLOAT, (long) row * heads.count() + head);
      float kept = (float) Math.exp(length * decay);
      compute.kernels().recurrences().stateSpace(kept, length, skip, s.x, s.b, s.c, s.state, s.y);
      rows.y.write(row, column, s.y);
      if (row + 1 == run.first() + run.added()) {
        MemorySegment.copy(s.state, 0, run.after(), FLOAT, at, s.state.length);
      }
    }
  }
}
