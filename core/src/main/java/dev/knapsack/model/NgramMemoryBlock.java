package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Computes {@link NgramMemory}. */
final class NgramMemoryBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Nanoseconds of one core, roughly, for a number of a key. */
  private static final double GATE = 2;

  private final Blocks blocks;
  private final Compute compute;
  private final WeightSource source;

  NgramMemoryBlock(Blocks blocks, WeightSource source) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.source = source;
  }

  /**
   * Remembers each run's tokens by those before them.
   *
   * @param ids tokens, one for each row
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(NgramMemory.Weights weights, List<Run> runs, int[] ids, Matrix x, Matrix delta) {
    NgramMemory spec = weights.spec();
    int count = x.rows();
    List<Recurrence> recurrences = Recurrence.of(runs, weights.state());
    int[] found = find(spec, recurrences, ids, count);
    Matrix rows = blocks.matrix(Slot.GATHERED, found.length, spec.size());
    source.gather(weights.table(), found, rows);
    Matrix memory = blocks.matrix(Slot.GATHERED, count, spec.columns());
    Matrix key = blocks.matrix(Slot.KEY, count, spec.width());
    Matrix value = blocks.matrix(Slot.VALUE, count, spec.width());
    Linear.apply(
        blocks, compute.input(memory), weights.key().into(key), weights.value().into(value));
    blocks.norm(key, weights.keyNorm(), spec.width(), key);
    gate(x, key, value);
    Matrix normed = blocks.matrix(Slot.MIXED, count, spec.width());
    blocks.norm(value, weights.convolutionNorm(), spec.width(), normed);
    blocks.convolutions.apply(weights.convolution(), recurrences, normed, null, delta);
    compute.add(delta, value);
  }

  /** Finds the rows of all tokens, and carries the last ones of each run. */
  private static int[] find(NgramMemory spec, List<Recurrence> runs, int[] ids, int count) {
    NgramHash hash = spec.hash();
    int[] found = new int[count * hash.heads()];
    int[] context = new int[hash.order()];
    int carried = spec.carried();
    for (Recurrence run : runs) {
      for (int i = 1; i < context.length; i++) {
        // A state begins as zeros: one more than a number says that there is one.
        int known = (int) run.before().getAtIndex(FLOAT, carried + i - 1);
        context[i] = known == 0 ? hash.pad() : known - 1;
      }
      for (int i = 0; i < run.rows(); i++) {
        int row = run.first() + i;
        context[0] = hash.canonical(ids[row]);
        hash.find(context, found, row * hash.heads());
        if (i == run.added() - 1) {
          for (int k = 0; k < context.length - 1; k++) {
            run.after().setAtIndex(FLOAT, carried + k, context[k] + 1);
          }
        }
        System.arraycopy(context, 0, context, 1, context.length - 1);
      }
    }
    return found;
  }

  /** {@code value *= σ(x · key / √width)}, row by row. */
  private void gate(Matrix x, Matrix key, Matrix value) {
    int width = x.columns();
    compute.rows(
        x.rows(),
        width * GATE,
        (from, to) -> {
          float[] query = new float[width];
          float[] numbers = new float[width];
          for (int row = from; row < to; row++) {
            x.read(row, 0, query);
            key.read(row, 0, numbers);
            double score = 0;
            for (int i = 0; i < width; i++) {
              score += query[i] * numbers[i];
            }
            float open = (float) (1 / (1 + Math.exp(-score / Math.sqrt(width))));
            value.read(row, 0, numbers);
            for (int i = 0; i < width; i++) {
              numbers[i] *= open;
            }
            value.write(row, 0, numbers);
          }
        });
  }
}
