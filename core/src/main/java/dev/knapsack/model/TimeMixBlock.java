package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Recurrences;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Computes {@link TimeMix}: a sequence's tokens one after the other, so that what comes out does
 * not depend on how many a step takes; heads and sequences by all workers.
 */
final class TimeMixBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** A decay is at the least e to the power of this. */
  private static final float LEAST_DECAY = (float) -Math.exp(-0.5);

  /** The ε of a head's norm. */
  private static final double HEAD_EPSILON = 64e-5;

  /** The least length that a key is divided by. */
  private static final double LEAST_LENGTH = 1e-12;

  private final Blocks blocks;
  private final Compute compute;
  private final @Nullable Scratch[] scratches;

  TimeMixBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.scratches = new Scratch[compute.team().workers()];
  }

  /**
   * The projections of a step's rows.
   *
   * @param decay w, before it is made a power of e
   * @param rate a
   * @param first the first layer's values
   * @param share of those; null in the first layer
   * @param gate null for none
   * @param out receives the results
   */
  private record Rows(
      Matrix receptance,
      Matrix key,
      Matrix value,
      Matrix decay,
      Matrix rate,
      Matrix first,
      @Nullable Matrix share,
      @Nullable Matrix gate,
      Matrix out) {}

  /**
   * Carries each run's state through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(TimeMix.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    TimeMix spec = weights.spec();
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    Matrix back = blocks.matrix(Slot.BACK, x.rows(), spec.width());
    TokenShift.back(compute, all, x, back);
    Rows rows = project(weights, x, back);
    Recurrence.each(
        compute,
        all,
        spec.heads(),
        (run, head, worker) -> scan(weights, run, head, rows, scratch(worker, spec.headSize())));
    weights.output().apply(blocks, compute.input(rows.out), delta);
  }

  private Rows project(TimeMix.Weights weights, Matrix x, Matrix back) {
    Matrix receptance = of(Slot.QUERY, x);
    weights.receptance().apply(blocks, compute.input(mixed(weights, 0, x, back)), receptance);
    Matrix decay = of(Slot.STEP, x);
    lowRank(weights.decay(), mixed(weights, 1, x, back), low -> compute.softCap(low, 1), decay);
    sigmoid(decay);
    Matrix key = of(Slot.KEY, x);
    weights.key().apply(blocks, compute.input(mixed(weights, 2, x, back)), key);
    Matrix forValue = mixed(weights, 3, x, back);
    Matrix value = of(Slot.VALUE, x);
    weights.values().apply(blocks, compute.input(forValue), value);
    Matrix first = of(Slot.FIRST_VALUE, x);
    Matrix share = null;
    if (weights.value() == null) {
      MemorySegment.copy(value.data(), 0, first.data(), 0, value.rows() * value.rowBytes());
    } else {
      share = of(Slot.SHARE, x);
      lowRank(weights.value(), forValue, null, share);
      sigmoid(share);
    }
    Matrix rate = of(Slot.RATE, x);
    lowRank(weights.rate(), mixed(weights, 4, x, back), null, rate);
    sigmoid(rate);
    Matrix gate = null;
    if (weights.gate() != null) {
      gate = of(Slot.GATE, x);
      lowRank(weights.gate(), mixed(weights, 5, x, back), this::sigmoid, gate);
    }
    Matrix out = of(Slot.SCANNED, x);
    return new Rows(receptance, key, value, decay, rate, first, share, gate, out);
  }

  private Matrix of(Slot slot, Matrix x) {
    return blocks.matrix(slot, x.rows(), x.columns());
  }

  /** The rows that the projection of this number reads. */
  private Matrix mixed(TimeMix.Weights weights, int projection, Matrix x, Matrix back) {
    Matrix share = weights.shares().rows(projection, projection + 1);
    Matrix mixed = of(Slot.MIXED, x);
    compute.mix(x, back, share.data(), mixed);
    return mixed;
  }

  /**
   * Projects through few numbers.
   *
   * @param between what is done to those; null for nothing
   */
  private void lowRank(
      TimeMix.LowRank map, Matrix x, @Nullable Consumer<Matrix> between, Matrix out) {
    Matrix low = blocks.matrix(Slot.LOW_RANK, x.rows(), map.down().matrix().rows());
    map.down().apply(blocks, compute.input(x), low);
    if (between != null) {
      between.accept(low);
    }
    map.up().apply(blocks, compute.input(low), out);
    blocks.addBias(out, map.bias(), 0);
  }

  private void sigmoid(Matrix x) {
    compute.activate(Activation.SIGMOID, x);
  }

  /** Numbers of a head that a worker is at; its state lies value by value for each key number. */
  private record Scratch(
      float[] state,
      float[] receptance,
      float[] key,
      float[] value,
      float[] decay,
      float[] rate,
      float[] removed,
      float[] mixed,
      float[] least,
      float[] y) {
    static Scratch of(int size) {
      float[] least = new float[size];
      Arrays.fill(least, LEAST_DECAY);
      return new Scratch(
          new float[size * size],
          new float[size],
          new float[size],
          new float[size],
          new float[size],
          new float[size],
          new float[size],
          new float[size],
          least,
          new float[size]);
    }
  }

  private Scratch scratch(int worker, int size) {
    Scratch scratch = scratches[worker];
    if (scratch == null || scratch.y.length != size) {
      scratch = Scratch.of(size);
      scratches[worker] = scratch;
    }
    return scratch;
  }

  /** A head's rows, one after the other. */
  private void scan(TimeMix.Weights weights, Recurrence run, int head, Rows rows, Scratch s) {
    Recurrences recurrences = compute.kernels().recurrences();
    int size = s.y.length;
    int column = head * size;
    long place = TokenShift.bytes(weights.spec().width()) + (long) Float.BYTES * column * size;
    MemorySegment.copy(run.before(), FLOAT, place, s.state, 0, s.state.length);
    for (int row = run.first(); row < run.first() + run.rows(); row++) {
      float bonus = read(weights, rows, row, column, s);
      recurrences.decay(s.least, s.decay, s.decay);
      recurrences.timeMix(s.receptance, s.key, s.decay, s.removed, s.rate, s.value, s.state, s.y);
      finish(weights, rows, row, column, bonus, s);
      rows.out.write(row, column, s.y);
      if (row + 1 == run.first() + run.added()) {
        MemorySegment.copy(s.state, 0, run.after(), FLOAT, place, s.state.length);
      }
    }
  }

  /** Reads a head's row; returns how much of its values is added to its result. */
  private static float read(TimeMix.Weights weights, Rows rows, int row, int column, Scratch s) {
    int size = s.y.length;
    rows.receptance.read(row, column, s.receptance);
    rows.key.read(row, column, s.key);
    rows.value.read(row, column, s.value);
    rows.decay.read(row, column, s.decay);
    rows.rate.read(row, column, s.rate);
    if (rows.share != null) {
      rows.first.read(row, column, s.y);
      rows.share.read(row, column, s.mixed);
      for (int i = 0; i < size; i++) {
        s.value[i] += (s.y[i] - s.value[i]) * s.mixed[i];
      }
    }
    weights.keyScale().read(0, column, s.removed);
    weights.rateShare().read(0, column, s.mixed);
    weights.bonus().read(0, column, s.y);
    double squares = 0;
    double bonus = 0;
    for (int i = 0; i < size; i++) {
      s.removed[i] *= s.key[i];
      squares += (double) s.removed[i] * s.removed[i];
      s.key[i] *= 1 + (s.rate[i] - 1) * s.mixed[i];
      bonus += (double) s.receptance[i] * s.key[i] * s.y[i];
    }
    float scale = (float) (1 / Math.max(Math.sqrt(squares), LEAST_LENGTH));
    for (int i = 0; i < size; i++) {
      s.removed[i] *= scale;
      s.rate[i] *= s.removed[i];
    }
    return (float) bonus;
  }

  /** Norms a head's result, adds some of its values and gates it. */
  private static void finish(
      TimeMix.Weights weights, Rows rows, int row, int column, float bonus, Scratch s) {
    int size = s.y.length;
    if (weights.norm() != null) {
      norm(s.y);
      weights.norm().read(0, column, s.mixed);
      for (int i = 0; i < size; i++) {
        s.y[i] *= s.mixed[i];
      }
      if (weights.normBias() != null) {
        weights.normBias().read(0, column, s.mixed);
        for (int i = 0; i < size; i++) {
          s.y[i] += s.mixed[i];
        }
      }
    }
    for (int i = 0; i < size; i++) {
      s.y[i] += bonus * s.value[i];
    }
    if (rows.gate != null) {
      rows.gate.read(row, column, s.mixed);
      for (int i = 0; i < size; i++) {
        s.y[i] *= s.mixed[i];
      }
    }
  }

  private static void norm(float[] y) {
    double sum = 0;
    for (float number : y) {
      sum += number;
    }
    double mean = sum / y.length;
    double squares = 0;
    for (float number : y) {
      squares += (number - mean) * (number - mean);
    }
    double scale = 1 / Math.sqrt(squares / y.length + HEAD_EPSILON);
    for (int i = 0; i < y.length; i++) {
      y[i] = (float) ((y[i] - mean) * scale);
    }
  }
}
