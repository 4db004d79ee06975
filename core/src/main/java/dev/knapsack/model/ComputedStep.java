package dev.knapsack.model;

import dev.knapsack.cache.LayerStep;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A step of one sequence in a layer, as {@link AttentionBlock} has computed it.
 *
 * @param first position of the first row
 * @param input the normed residual stream
 * @param query as attention takes it
 * @param rotated the same before they are sketched
 * @param sketched whether they are
 * @param norms null unless they are wanted
 * @param retained null unless there are gates
 */
record ComputedStep(
    int first,
    Matrix input,
    Matrix query,
    Matrix rotated,
    boolean sketched,
    RotaryFrame frame,
    AttentionShape shape,
    @Nullable OutputNorms norms,
    @Nullable Retained retained,
    Compute compute)
    implements LayerStep {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  @Override
  public int rows() {
    return query.rows();
  }

  @Override
  public int position(int row) {
    return first + row;
  }

  @Override
  public void weights(int from, int to, int kvHead, KvSpan[] spans, Matrix out) {
    compute.attentionWeights(shape, query.rows(from, to), position(from), spans, kvHead, out);
  }

  @Override
  public void queries(int row, int kvHead, float[] out) {
    copy(query, row, kvHead, out);
  }

  @Override
  public void unrotatedQueries(int row, int kvHead, float[] out) {
    copy(rotated, row, kvHead, out);
    frame.unrotate(out, kvHead, position(row), !sketched);
  }

  private void copy(Matrix queries, int row, int kvHead, float[] out) {
    int columns = queries.columns() / shape.kvHeads();
    long at = queries.rowOffset(row) + (long) kvHead * columns * Float.BYTES;
    MemorySegment.copy(queries.data(), FLOAT, at, out, 0, columns);
  }

  @Override
  public float outputNorm(int row, int kvHead) {
    if (norms == null) {
      throw new IllegalStateException("The policy did not want the norms of projected values");
    }
    return norms.of(row, kvHead);
  }

  @Override
  public float retention(int row, int kvHead) {
    if (retained == null) {
      throw new IllegalStateException("The policy has no gates");
    }
    return retained.of(row, kvHead);
  }

  @Override
  public void forEach(int count, IntConsumer task) {
    compute.team().run(count, (part, parts, worker) -> task.accept(part));
  }
}
