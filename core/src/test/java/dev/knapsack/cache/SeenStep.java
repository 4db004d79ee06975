package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A step that a test says all of; where RoPE does nothing.
 *
 * @param first position of the first row
 * @param weights attention's
 * @param queries null for none
 * @param norms null for none
 */
public record SeenStep(
    int first,
    int rows,
    Weights weights,
    @Nullable Queries queries,
    @Nullable Matrix input,
    @Nullable Norms norms)
    implements LayerStep {
  /** See {@link LayerStep#weights}. */
  public interface Weights {
    void compute(int row, int kvHead, KvSpan[] spans, Matrix out);
  }

  /** See {@link LayerStep#queries}. */
  public interface Queries {
    void of(int position, int kvHead, float[] out);
  }

  /** See {@link LayerStep#outputNorm}. */
  public interface Norms {
    float of(int position, int kvHead);
  }

  /** Attention alone. */
  public SeenStep(int first, int rows, Weights weights) {
    this(first, rows, weights, null, null, null);
  }

  @Override
  public int position(int row) {
    return first + row;
  }

  @Override
  public void weights(int from, int to, int kvHead, KvSpan[] spans, Matrix out) {
    int group = out.rows() / (to - from);
    for (int row = from; row < to; row++) {
      int first = (row - from) * group;
      weights.compute(row, kvHead, spans, out.rows(first, first + group));
    }
  }

  @Override
  public void queries(int row, int kvHead, float[] out) {
    if (queries == null) {
      throw new AssertionError("Nobody should look at queries");
    }
    queries.of(first + row, kvHead, out);
  }

  @Override
  public void unrotatedQueries(int row, int kvHead, float[] out) {
    queries(row, kvHead, out);
  }

  @Override
  public QueryFrame frame() {
    return new QueryFrame() {
      @Override
      public float scale() {
        return 1;
      }

      @Override
      public Backwards from(int position, int count) {
        return (_, key, out) -> System.arraycopy(key, 0, out, 0, key.length);
      }
    };
  }

  @Override
  public Matrix input() {
    return input == null
        ? new Matrix(Formats.F32, rows, 0, MemorySegment.ofArray(new float[0]))
        : input;
  }

  @Override
  public float outputNorm(int row, int kvHead) {
    if (norms == null) {
      throw new AssertionError("Nobody should look at norms");
    }
    return norms.of(first + row, kvHead);
  }

  /** The token's position, in hundreds: the later, the sooner it goes. */
  @Override
  public float retention(int row, int kvHead) {
    return -(1 + (first + row) % 100 / 100f);
  }

  @Override
  public void forEach(int count, IntConsumer task) {
    for (int i = 0; i < count; i++) {
      task.accept(i);
    }
  }
}
