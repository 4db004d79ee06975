package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.model.DeltaRule.Form;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Computes {@link DeltaRule}: a sequence's tokens one after the other, so that what comes out does
 * not depend on how many a step takes; heads, columns of their states and sequences by all workers.
 */
final class DeltaRuleBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /**
   * Columns of a state that are carried through all rows as one part of the work: as many as stay
   * in a processor's nearest cache meanwhile. Columns do not see each other.
   */
  private static final int COLUMNS = 64;

  private final Blocks blocks;
  private final Compute compute;
  private final @Nullable Scratch[] scratches;

  DeltaRuleBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.scratches = new Scratch[compute.team().workers()];
  }

  /** The heads of a step's tokens, a row each. */
  record Heads(Matrix query, Matrix key, Matrix value, Matrix strength, Matrix step) {}

  /**
   * Carries each run's states through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(DeltaRule.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), weights.spec().valueColumns());
    Heads heads = project(weights, x, gate);
    Matrix scanned = scan(weights, Recurrence.of(runs, weights.state()), heads);
    emit(weights, gate, scanned, delta);
  }

  /**
   * Carries states through rows.
   *
   * @return what is read of them, in {@link Slot#SCANNED}
   */
  Matrix scan(DeltaRule.Weights weights, List<Recurrence> all, Heads heads) {
    DeltaRule spec = weights.spec();
    convolve(weights, all, heads);
    scaleTo(heads.query, spec.keySize(), 1 / Math.sqrt(spec.keySize()));
    scaleTo(heads.key, spec.keySize(), 1);
    decide(weights, heads);
    Matrix scanned = blocks.matrix(Slot.SCANNED, heads.query.rows(), spec.valueColumns());
    int parts = Math.ceilDiv(spec.valueSize(), COLUMNS);
    Recurrence.each(
        compute,
        all,
        spec.heads() * parts,
        (run, part, worker) -> scan(spec, run, part / parts, part % parts, heads, scanned, worker));
    return scanned;
  }

  /** Makes of what was read of states what is to be added to the residual stream. */
  void emit(DeltaRule.Weights weights, Matrix gate, Matrix scanned, Matrix delta) {
    DeltaRule spec = weights.spec();
    blocks.norm(scanned, weights.headNorm(), spec.valueSize(), scanned);
    compute.gatedActivation(
        spec.form() == Form.BY_CHANNEL ? Activation.SIGMOID : Activation.SILU, gate, scanned, gate);
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  private Heads project(DeltaRule.Weights weights, Matrix x, Matrix gate) {
    DeltaRule spec = weights.spec();
    int rows = x.rows();
    Matrix query = blocks.matrix(Slot.QUERY, rows, spec.keyColumns());
    Matrix key = blocks.matrix(Slot.KEY, rows, spec.keyColumns());
    Matrix value = blocks.matrix(Slot.VALUE, rows, spec.valueColumns());
    Matrix strength = blocks.matrix(Slot.STRENGTH, rows, spec.heads());
    Matrix step = blocks.matrix(Slot.STEP, rows, spec.steps());
    List<Linear> maps = weights.inputs();
    switch (spec.form()) {
      case TILED -> apply(maps, x, query, key, value, gate, strength, step);
      case GROUPED -> {
        apply(maps.subList(0, 4), x, query, key, value, gate);
        deal(maps.get(4), x, spec.keyHeads(), strength, step);
      }
      case GROUPED_WHOLE -> {
        deal(maps.get(0), x, spec.keyHeads(), query, key, value, gate);
        deal(maps.get(1), x, spec.keyHeads(), strength, step);
      }
      case BY_CHANNEL -> {
        apply(maps.subList(0, 4), x, query, key, value, strength);
        apply(maps.get(4), maps.get(5), x, step);
        apply(maps.get(6), maps.get(7), x, gate);
      }
    }
    return new Heads(query, key, value, strength, step);
  }

  private void apply(List<Linear> maps, Matrix x, Matrix... out) {
    Linear.Into[] products = new Linear.Into[out.length];
    Arrays.setAll(products, i -> maps.get(i).into(out[i]));
    Linear.apply(blocks, compute.input(x), products);
  }

  private void apply(Linear first, Linear second, Matrix x, Matrix out) {
    Matrix between = blocks.matrix(Slot.MIXED, x.rows(), first.matrix().rows());
    first.apply(blocks, compute.input(x), between);
    second.apply(blocks, compute.input(between), out);
  }

  private void deal(Linear map, Matrix x, int groups, Matrix... parts) {
    Matrix mixed = blocks.matrix(Slot.MIXED, x.rows(), map.matrix().rows());
    map.apply(blocks, compute.input(x), mixed);
    blocks.deal(mixed, groups, parts);
  }

  private void convolve(DeltaRule.Weights weights, List<Recurrence> all, Heads heads) {
    List<Matrix> parts = List.of(heads.query, heads.key, heads.value);
    for (int i = 0; i < parts.size(); i++) {
      Matrix x = parts.get(i);
      blocks.convolutions.apply(weights.convolutions().get(i), all, x, null, x);
    }
  }

  /** Gives heads a length, as far as they are longer than ε. */
  private void scaleTo(Matrix x, int headSize, double length) {
    float epsilon = blocks.epsilon() / headSize;
    compute.rmsNorm(x, null, headSize, epsilon, x);
    compute.scale(x, (float) (length / Math.sqrt(headSize)));
  }

  /** Makes of projections how much states keep, and how much is written to them. */
  private void decide(DeltaRule.Weights weights, Heads heads) {
    compute.activate(Activation.SIGMOID, heads.strength);
    Matrix step = heads.step;
    blocks.addBias(step, weights.stepBias(), 0);
    compute.activate(Activation.SOFTPLUS, step);
    int columns = step.columns();
    compute.rows(
        step.rows(),
        columns,
        (from, to) -> {
          float[] rates = new float[columns];
          for (int i = 0; i < columns; i++) {
            int head = i / (columns / weights.spec().heads());
            rates[i] = weights.decay().data().getAtIndex(FLOAT, head);
          }
          float[] numbers = new float[columns];
          for (int row = from; row < to; row++) {
            step.read(row, 0, numbers);
            compute.kernels().recurrences().decay(rates, numbers, numbers);
            step.write(row, 0, numbers);
          }
        });
  }

  /** Numbers of a part of a head that a worker is at. */
  private record Scratch(
      float[] state, float[] query, float[] key, float[] decay, float[] value, float[] out) {}

  private Scratch scratch(int worker, int keySize, int columns) {
    Scratch scratch = scratches[worker];
    if (scratch == null || scratch.key.length != keySize || scratch.value.length != columns) {
      scratch =
          new Scratch(
              new float[keySize * columns],
              new float[keySize],
              new float[keySize],
              new float[keySize],
              new float[columns],
              new float[columns]);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** A head's rows, one after the other, in some columns of its state, which lie by themselves. */
  private void scan(
      DeltaRule spec, Recurrence run, int head, int part, Heads heads, Matrix scanned, int worker) {
    int size = spec.keySize();
    int column = part * COLUMNS;
    Scratch s = scratch(worker, size, Math.min(COLUMNS, spec.valueSize() - column));
    long key = (long) spec.keyHead(head) * size;
    long value = (long) head * spec.valueSize() + column;
    boolean byChannel = spec.form() == Form.BY_CHANNEL;
    long at = Float.BYTES * (spec.convolved() + value * size);
    MemorySegment.copy(run.before(), FLOAT, at, s.state, 0, s.state.length);
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      heads.query.read(row, key, s.query);
      heads.key.read(row, key, s.key);
      heads.value.read(row, value, s.value);
      if (byChannel) {
        heads.step.read(row, (long) head * size, s.decay);
      } else {
        Arrays.fill(s.decay, number(heads.step, row, head));
      }
      float strength = number(heads.strength, row, head);
      compute
          .kernels()
          .recurrences()
          .deltaRule(s.query, s.key, s.decay, strength, s.value, s.state, s.out);
      scanned.write(row, value, s.out);
      if (row + 1 == run.first() + run.added()) {
        MemorySegment.copy(s.state, 0, run.after(), FLOAT, at, s.state.length);
      }
    }
  }

  private static float number(Matrix x, int row, long column) {
    return x.data().get(FLOAT, x.rowOffset(row) + Float.BYTES * column);
  }
}
