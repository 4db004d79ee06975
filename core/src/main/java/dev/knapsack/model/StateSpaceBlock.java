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
    Compute.Input input = compute.input(x);
    weights.gate().apply(blocks, input, gate);
    weights.mixed().apply(blocks, input, mixed);
    weights.step().apply(blocks, input, step);
    blocks.addBias(step, weights.stepBias(), 0);
    compute.activate(Activation.SOFTPLUS, step);
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.mixedColumns());
    blocks.convolutions.apply(weights.convolution(), all, mixed, null, convolved);
    Matrix scanned = blocks.matrix(Slot.SCANNED, x.rows(), spec.inner());
    Recurrence.each(
        compute,
        all,
        spec.heads(),
        (run, head, worker) ->
            scan(weights, run, head, convolved, step, scanned, scratch(worker, spec)));
    compute.gatedActivation(Activation.SILU, gate, scanned, gate);
    Matrix factors = weights.groupNorm();
    if (factors != null) {
      norm(factors, gate);
    }
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  /**
   * Numbers of a head that a worker is at. Its state lies channel by channel for each number of B.
   */
  private record Scratch(float[] state, float[] x, float[] b, float[] c, float[] y) {}

  private Scratch scratch(int worker, StateSpace spec) {
    int size = spec.headSize();
    int state = spec.state();
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
  private void scan(
      StateSpace.Weights weights,
      Recurrence run,
      int head,
      Matrix convolved,
      Matrix step,
      Matrix scanned,
      Scratch s) {
    StateSpace spec = weights.spec();
    int column = head * spec.headSize();
    int b = spec.inner() + head / (spec.heads() / spec.groups()) * spec.state();
    int c = b + spec.groups() * spec.state();
    double decay = weights.decay().data().getAtIndex(FLOAT, head);
    float skip = weights.skip().data().getAtIndex(FLOAT, head);
    long at = Float.BYTES * ((long) spec.convolved() + (long) head * s.state.length);
    MemorySegment.copy(run.before(), FLOAT, at, s.state, 0, s.state.length);
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      read(convolved, row, column, s.x);
      read(convolved, row, b, s.b);
      read(convolved, row, c, s.c);
      float length = step.data().get(FLOAT, place(step, row, head));
      float kept = (float) Math.exp(length * decay);
      compute.kernels().recurrences().stateSpace(kept, length, skip, s.x, s.b, s.c, s.state, s.y);
      MemorySegment.copy(s.y, 0, scanned.data(), FLOAT, place(scanned, row, column), s.y.length);
      if (row + 1 == run.first() + run.added()) {
        MemorySegment.copy(s.state, 0, run.after(), FLOAT, at, s.state.length);
      }
    }
  }

  private static long place(Matrix x, int row, int column) {
    return x.rowOffset(row) + (long) Float.BYTES * column;
  }

  private static void read(Matrix x, int row, int column, float[] numbers) {
    MemorySegment.copy(x.data(), FLOAT, place(x, row, column), numbers, 0, numbers.length);
  }

  /** Norms the groups of rows, each with factors of its own. */
  private void norm(Matrix factors, Matrix x) {
    int groups = factors.rows();
    int size = factors.columns();
    Matrix all = new Matrix(x.format(), x.rows() * groups, size, x.data());
    compute.rows(
        all.rows(),
        size,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            MemorySegment own = factors.rows(i % groups, i % groups + 1).data();
            compute.kernels().rows().rmsNorm(all, own, size, blocks.epsilon(), all, i, i + 1);
          }
        });
  }
}
