package dev.knapsack.kernel;

import static dev.knapsack.kernel.Floats.F32;
import static dev.knapsack.kernel.Floats.get;
import static dev.knapsack.kernel.Floats.put;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Attention by its definition: all scores, their softmax, then the weighted sum of values. */
final class ScalarAttention implements Attention {
  private final RowOperations rows;

  /**
   * @param rows for the softmax of {@link #weights}
   */
  ScalarAttention(RowOperations rows) {
    this.rows = rows;
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    return (long) Float.BYTES * limits.headSize();
  }

  @Override
  public void attend(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      Scratch scratch) {
    Shapes.checkAttention(shape, q, spans, kvHead, out, from, to);
    MemorySegment sinks = shape.sinks();
    int size = shape.valueSize();
    heads(
        shape,
        q,
        firstPosition,
        spans,
        kvHead,
        from,
        to,
        scratch.floats(),
        null,
        (row, head, max, sum, result) -> {
          double all = sinks == null ? sum : sum + Math.exp(get(sinks, 0, head) - max);
          for (int c = 0; c < size; c++) {
            float value = all > 0 ? (float) (result[c] / all) : 0;
            put(out.data(), out.rowOffset(row), head * size + c, value);
          }
        });
  }

  @Override
  public void attendPart(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      PartialAttention part,
      int from,
      int to,
      Scratch scratch) {
    Shapes.checkPart(shape, q, spans, kvHead, part, from, to);
    heads(
        shape,
        q,
        firstPosition,
        spans,
        kvHead,
        from,
        to,
        scratch.floats(),
        part,
        (row, head, max, sum, result) -> {
          put(part.softmax().data(), part.softmaxOffset(row, head), 0, (float) max);
          put(part.softmax().data(), part.softmaxOffset(row, head), 1, (float) sum);
          for (int c = 0; c < shape.valueSize(); c++) {
            put(part.values().data(), part.valuesOffset(shape, row, head), c, (float) result[c]);
          }
        });
  }

  @Override
  public void weights(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      Scratch scratch) {
    Shapes.checkWeights(shape, q, spans, kvHead, out, from, to);
    int group = shape.heads() / shape.kvHeads();
    for (int row = 0; row < out.rows(); row++) {
      int t = from + row / group;
      int head = kvHead * group + row % group;
      float[] query = query(shape, q, t, head);
      int column = 0;
      for (KvSpan span : spans) {
        int first = span.firstVisible(shape, firstPosition + t);
        int end = span.endVisible(shape, firstPosition + t);
        for (int i = 0; i < span.length(); i++) {
          double score = Double.NEGATIVE_INFINITY;
          if (i >= first && i < end) {
            score = score(shape, query, firstPosition + t, head, span, i, scratch.floats());
          }
          put(out.data(), out.rowOffset(row), column++, (float) score);
        }
      }
    }
    ChunkedAttention.softmaxRows(rows, shape, kvHead, out);
  }

  private static double capped(double score, float softCap) {
    return softCap == 0 ? score : softCap * Math.tanh(score / softCap);
  }

  private static double score(
      AttentionShape shape,
      float[] query,
      int position,
      int head,
      KvSpan span,
      int token,
      float[] scratch) {
    float[] key =
        vector(
            span.keyFormat(),
            span.memory(),
            span.key(shape, token),
            span.keySize(shape),
            span.keys(),
            shape.keySize(),
            scratch);
    double score = 0;
    for (int c = 0; c < query.length; c++) {
      score += (double) query[c] * key[c];
    }
    double capped = capped(score * shape.scale(), shape.softCap());
    MemorySegment slopes = shape.slopes();
    return slopes == null
        ? capped
        : capped - get(slopes, 0, head) * (double) Math.abs(position - span.position(token));
  }

  private static float[] query(AttentionShape shape, Matrix q, int row, int head) {
    float[] query = new float[shape.keySize()];
    long at = q.rowOffset(row) + (long) Float.BYTES * head * query.length;
    MemorySegment.copy(q.data(), F32, at, query, 0, query.length);
    return query;
  }

  /** A vector of a page; made again where {@code held} numbers of it are held. */
  private static float[] vector(
      Format format,
      MemorySegment memory,
      long at,
      int held,
      @Nullable Reduction reduction,
      int size,
      float[] scratch) {
    format.decode(memory, at, scratch, 0, held);
    if (reduction == null) {
      return scratch;
    }
    float[] vector = new float[size];
    reduction.restore(Arrays.copyOf(scratch, held), vector);
    return vector;
  }

  private interface HeadResult {
    void accept(int row, int head, double max, double sum, double[] result);
  }

  /**
   * Each row and head: the largest score, and sums of weights and of weighted values, with those of
   * tokens before.
   */
  private static void heads(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      int from,
      int to,
      float[] scratch,
      @Nullable PartialAttention before,
      HeadResult each) {
    int group = shape.heads() / shape.kvHeads();
    double[] scores = new double[KvSpan.length(spans)];
    double[] result = new double[shape.valueSize()];
    for (int t = from; t < to; t++) {
      int position = firstPosition + t;
      for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
        float[] query = query(shape, q, t, head);
        double max = Double.NEGATIVE_INFINITY;
        int count = 0;
        for (KvSpan span : spans) {
          int end = span.endVisible(shape, position);
          for (int i = span.firstVisible(shape, position); i < end; i++) {
            scores[count] = score(shape, query, position, head, span, i, scratch);
            max = Math.max(max, scores[count++]);
          }
        }
        double sum = 0;
        Arrays.fill(result, 0);
        if (before != null) {
          double oldMax = get(before.softmax().data(), before.softmaxOffset(t, head), 0);
          double newMax = Math.max(max, oldMax);
          // Nothing seen yet is no difference of infinities.
          double decay = newMax > Double.NEGATIVE_INFINITY ? Math.exp(oldMax - newMax) : 0;
          max = newMax;
          sum = decay * get(before.softmax().data(), before.softmaxOffset(t, head), 1);
          for (int c = 0; c < shape.valueSize(); c++) {
            long at = before.valuesOffset(shape, t, head);
            result[c] = decay * get(before.values().data(), at, c);
          }
        }
        count = 0;
        for (KvSpan span : spans) {
          int end = span.endVisible(shape, position);
          for (int i = span.firstVisible(shape, position); i < end; i++) {
            double weight = Math.exp(scores[count++] - max);
            sum += weight;
            float[] value =
                vector(
                    span.valueFormat(),
                    span.memory(),
                    span.value(shape, i),
                    span.valueSize(shape),
                    span.values(),
                    shape.valueSize(),
                    scratch);
            for (int c = 0; c < result.length; c++) {
              result[c] += weight * value[c];
            }
          }
        }
        each.accept(t, head, max, sum, result);
      }
    }
  }
}
