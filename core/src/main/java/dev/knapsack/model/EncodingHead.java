package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.model.Encoding.Step;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Computes {@link Encoding}: vectors, or scores, of the texts of a step. */
final class EncodingHead {
  /** Nanoseconds of one core, roughly, for a number that is added up. */
  private static final double SUM = 0.6;

  private final Blocks blocks;
  private final Compute compute;
  private final Encoding encoding;
  private final List<StepWeights> steps;

  /**
   * A step with its tensors.
   *
   * @param map null where it is no map
   * @param norm null where it is no norm
   */
  private record StepWeights(Step step, @Nullable Linear map, @Nullable Norm norm) {}

  EncodingHead(Blocks blocks, Encoding encoding, WeightSource weights) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.encoding = encoding;
    this.steps = encoding.head().stream().map(step -> find(step, weights)).toList();
  }

  private static StepWeights find(Step step, WeightSource weights) {
    return switch (step) {
      case Encoding.Dense dense -> {
        Matrix bias = weights.find(dense.name() + ".bias");
        yield new StepWeights(
            step,
            new Linear(
                Objects.requireNonNull(weights.find(dense.name() + ".weight")),
                1,
                bias == null ? null : bias.data(),
                null,
                new Linear.Place(-1, -1, 0)),
            null);
      }
      case Encoding.Normed norm ->
          new StepWeights(step, null, Norm.find(norm.name() + ".weight", weights::find));
      case Encoding.Apply _, Encoding.Shares _ -> new StepWeights(step, null, null);
    };
  }

  /**
   * Makes vectors.
   *
   * @param rows the last norm's, those that were wanted of each run
   * @return a row for each run; without pooling, for each row
   */
  Matrix apply(List<Run> runs, Matrix rows) {
    Matrix x = pooled(runs, rows);
    Slot next = Slot.POOLED_NEXT;
    for (StepWeights weights : steps) {
      switch (weights.step) {
        case Encoding.Dense dense -> {
          Matrix out = blocks.matrix(next, x.rows(), dense.rows());
          Objects.requireNonNull(weights.map).apply(blocks, compute.input(x), out);
          next = next == Slot.POOLED ? Slot.POOLED_NEXT : Slot.POOLED;
          x = out;
        }
        case Encoding.Normed _ -> blocks.norm(x, weights.norm, x);
        case Encoding.Apply apply -> compute.activate(apply.function(), x);
        case Encoding.Shares _ -> {
          for (int row = 0; row < x.rows(); row++) {
            compute.kernels().rows().softmax(x.data(), x.rowOffset(row), x.columns(), Float.NaN);
          }
        }
      }
    }
    return x;
  }

  private Matrix pooled(List<Run> runs, Matrix rows) {
    if (encoding.pooling() == Encoding.Pooling.NONE) {
      Matrix all = blocks.matrix(Slot.POOLED, rows.rows(), rows.columns());
      MemorySegment.copy(rows.data(), 0, all.data(), 0, rows.rows() * rows.rowBytes());
      return all;
    }
    Matrix pooled = blocks.matrix(Slot.POOLED, runs.size(), rows.columns());
    int[] ends = new int[runs.size()];
    int end = 0;
    for (int i = 0; i < ends.length; i++) {
      end += runs.get(i).logits();
      ends[i] = end;
    }
    compute.rows(
        ends.length,
        (double) rows.rows() / ends.length * rows.columns() * SUM,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            pool(rows.rows(i == 0 ? 0 : ends[i - 1], ends[i]), pooled, i);
          }
        });
    return pooled;
  }

  private void pool(Matrix rows, Matrix pooled, int text) {
    switch (encoding.pooling()) {
      case MEAN -> {
        double[] sums = new double[rows.columns()];
        float[] row = new float[rows.columns()];
        for (int r = 0; r < rows.rows(); r++) {
          rows.read(r, 0, row);
          for (int c = 0; c < row.length; c++) {
            sums[c] += row[c];
          }
        }
        for (int c = 0; c < row.length; c++) {
          row[c] = (float) (sums[c] / rows.rows());
        }
        pooled.write(text, 0, row);
      }
      case FIRST -> copy(rows, 0, pooled, text);
      case LAST -> copy(rows, rows.rows() - 1, pooled, text);
      case NONE -> throw new IllegalStateException("rows are not pooled");
    }
  }

  private static void copy(Matrix from, int row, Matrix to, int target) {
    MemorySegment.copy(
        from.data(), from.rowOffset(row), to.data(), to.rowOffset(target), from.rowBytes());
  }
}
