package dev.knapsack.kernel;

import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The definition of every operation: slow, obvious, and what other providers are tested against.
 *
 * <p>Sums run over columns (or cached tokens) in rising order in double precision; what is stored
 * is rounded to float32 once. Unlike other providers it allocates small arrays as it goes.
 */
public final class ScalarKernels implements Kernels {
  static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final int Q8_BLOCK = Q8Activations.FORMAT.blockBytes();

  @Override
  public String name() {
    return "scalar";
  }

  @Override
  public Compute.Precision precision() {
    return Compute.Precision.FLOAT;
  }

  @Override
  public int rowTile() {
    return 1;
  }

  @Override
  public boolean heapScratch() {
    return false;
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    return 2L * Float.BYTES * Math.max(limits.columns(), limits.headSize());
  }

  @Override
  public void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch) {
    Shapes.checkMatmul(w, x, out, from, to);
    if (x.format() instanceof Q8Activations && w.format() instanceof BlockFormat format) {
      matmulOfCodes(w, format, x, out, from, to);
      return;
    }
    int columns = w.columns();
    MemorySegment rowOfX = scratch.asSlice((long) columns * Float.BYTES);
    for (int r = from; r < to; r++) {
      w.format().decode(w.data(), w.rowOffset(r), scratch, 0, columns);
      for (int t = 0; t < x.rows(); t++) {
        x.format().decode(x.data(), x.rowOffset(t), rowOfX, 0, columns);
        double sum = 0;
        for (int c = 0; c < columns; c++) {
          sum += (double) get(scratch, 0, c) * get(rowOfX, 0, c);
        }
        put(out.data(), out.rowOffset(t), r, (float) sum);
      }
    }
  }

  /** For each group of 16: {@code scale · Σ codes of w · codes of x + offset · Σ x}. */
  private static void matmulOfCodes(
      Matrix w, BlockFormat format, Matrix x, Matrix out, int from, int to) {
    int columns = w.columns();
    int groups = columns / BlockFormat.GROUP;
    byte[] codes = new byte[columns];
    float[] scales = new float[groups];
    float[] offsets = new float[groups];
    for (int r = from; r < to; r++) {
      for (int at = 0; at < columns; at += format.blockValues()) {
        long block = w.rowOffset(r) + format.bytes(at);
        format.unpack(w.data(), block, codes, scales, offsets, at);
      }
      for (int t = 0; t < x.rows(); t++) {
        double sum = 0;
        for (int g = 0; g < groups; g++) {
          long block = x.rowOffset(t) + (long) (g / 2) * Q8_BLOCK;
          long half = g % 2;
          int dot = 0;
          for (int i = 0; i < BlockFormat.GROUP; i++) {
            int code = x.data().get(ValueLayout.JAVA_BYTE, block + half * BlockFormat.GROUP + i);
            dot += codes[g * BlockFormat.GROUP + i] * code;
          }
          double scaleOfX = x.data().get(F32, block + Q8Activations.SCALE);
          double sumOfX = x.data().get(F32, block + Q8Activations.HALF_SUMS + half * Float.BYTES);
          sum += scaleOfX * scales[g] * dot + offsets[g] * sumOfX;
        }
        put(out.data(), out.rowOffset(t), r, (float) sum);
      }
    }
  }

  @Override
  public double multiplyAddOnes(Compute.Precision precision) {
    int rounds = 16_384;
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    double[] ones = {1, 1};
    for (int i = 0; i < rounds; i++) {
      a += ones[0] * ones[1];
      b += ones[1] * ones[0];
      c += ones[0] * ones[1];
      d += ones[1] * ones[0];
    }
    return a + b + c + d;
  }

  @Override
  public void quantise(Matrix x, Matrix out, int from, int to) {
    if (!(out.format() instanceof Q8Activations)) {
      throw new IllegalArgumentException(
          "Activations are quantised to " + Q8Activations.FORMAT.name() + ", not " + out.format());
    }
    encode(x, out, from, to);
  }

  @Override
  public void encode(Matrix x, Matrix out, int from, int to) {
    Shapes.checkSame(x, out, from, to);
    for (int t = from; t < to; t++) {
      out.format().encode(x.data(), x.rowOffset(t), out.data(), out.rowOffset(t), x.columns());
    }
  }

  @Override
  public void decodeRow(Matrix w, int row, MemorySegment target, long targetOffset) {
    Shapes.checkRow(w, row);
    w.format().decode(w.data(), w.rowOffset(row), target, targetOffset, w.columns());
  }

  @Override
  public void rmsNorm(
      Matrix x,
      @Nullable MemorySegment weight,
      int groupSize,
      float epsilon,
      Matrix out,
      int from,
      int to) {
    Shapes.checkSame(x, out, from, to);
    Shapes.checkGroups(x, groupSize);
    for (int t = from; t < to; t++) {
      for (int g = 0; g < x.columns(); g += groupSize) {
        double squares = 0;
        for (int i = g; i < g + groupSize; i++) {
          double v = get(x.data(), x.rowOffset(t), i);
          squares += v * v;
        }
        double scale = 1 / Math.sqrt(squares / groupSize + epsilon);
        for (int i = g; i < g + groupSize; i++) {
          double w = weight == null ? 1 : get(weight, 0, i - g);
          double y = get(x.data(), x.rowOffset(t), i) * scale * w;
          put(out.data(), out.rowOffset(t), i, (float) y);
        }
      }
    }
  }

  @Override
  public void layerNorm(
      Matrix x,
      MemorySegment weight,
      @Nullable MemorySegment bias,
      float epsilon,
      Matrix out,
      int from,
      int to) {
    Shapes.checkSame(x, out, from, to);
    int columns = x.columns();
    for (int t = from; t < to; t++) {
      double sum = 0;
      for (int i = 0; i < columns; i++) {
        sum += get(x.data(), x.rowOffset(t), i);
      }
      double mean = sum / columns;
      double squares = 0;
      for (int i = 0; i < columns; i++) {
        double d = get(x.data(), x.rowOffset(t), i) - mean;
        squares += d * d;
      }
      double scale = 1 / Math.sqrt(squares / columns + epsilon);
      for (int i = 0; i < columns; i++) {
        double y = (get(x.data(), x.rowOffset(t), i) - mean) * scale * get(weight, 0, i);
        put(out.data(), out.rowOffset(t), i, (float) (bias == null ? y : y + get(bias, 0, i)));
      }
    }
  }

  @Override
  public void add(Matrix x, Matrix y, float scale, int from, int to) {
    Shapes.checkSame(x, y, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        double sum =
            get(x.data(), x.rowOffset(t), i) + (double) scale * get(y.data(), y.rowOffset(t), i);
        put(x.data(), x.rowOffset(t), i, (float) sum);
      }
    }
  }

  @Override
  public void addBias(Matrix x, MemorySegment bias, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        put(x.data(), x.rowOffset(t), i, get(x.data(), x.rowOffset(t), i) + get(bias, 0, i));
      }
    }
  }

  @Override
  public void scale(Matrix x, float scale, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        put(x.data(), x.rowOffset(t), i, get(x.data(), x.rowOffset(t), i) * scale);
      }
    }
  }

  @Override
  public void softCap(Matrix x, float cap, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        double y = cap * Math.tanh((double) get(x.data(), x.rowOffset(t), i) / cap);
        put(x.data(), x.rowOffset(t), i, (float) y);
      }
    }
  }

  @Override
  public void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to) {
    Shapes.checkRope(x, headSize, rope, positions, from, to);
    boolean adjacent = rope.pairs() == Rope.Pairs.ADJACENT;
    int half = rope.dimensions() / 2;
    for (int t = from; t < to; t++) {
      long row = x.rowOffset(t);
      for (int i = 0; i < half; i++) {
        double angle = positions[t] * rope.frequencies()[i];
        double cos = Math.cos(angle) * rope.magnitude();
        double sin = Math.sin(angle) * rope.magnitude();
        for (int head = 0; head < x.columns(); head += headSize) {
          int first = head + (adjacent ? 2 * i : i);
          int second = adjacent ? first + 1 : first + half;
          double a = get(x.data(), row, first);
          double b = get(x.data(), row, second);
          put(x.data(), row, first, (float) (a * cos - b * sin));
          put(x.data(), row, second, (float) (a * sin + b * cos));
        }
      }
    }
  }

  @Override
  public void gatedActivation(
      Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < gate.columns(); i++) {
        double g = get(gate.data(), gate.rowOffset(t), i);
        double u = get(up.data(), up.rowOffset(t), i);
        put(out.data(), out.rowOffset(t), i, (float) gated(activation, g, u));
      }
    }
  }

  private static double gated(Activation activation, double g, double u) {
    return switch (activation) {
      case SILU -> g / (1 + Math.exp(-g)) * u;
      case GELU ->
          0.5 * g * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g * g * g))) * u;
      case RELU_SQUARED -> Math.max(g, 0) * Math.max(g, 0) * u;
      case GPT_OSS -> {
        double limited = Math.min(g, 7);
        yield limited / (1 + Math.exp(-1.702 * limited)) * (Math.clamp(u, -7.0, 7.0) + 1);
      }
    };
  }

  @Override
  public void softmax(MemorySegment x, long offset, int length, float softCap, float sink) {
    double[] scores = new double[length];
    for (int i = 0; i < length; i++) {
      scores[i] = capped(get(x, offset, i), softCap);
    }
    softmax(scores, length, sink);
    for (int i = 0; i < length; i++) {
      put(x, offset, i, (float) scores[i]);
    }
  }

  private static double capped(double score, float softCap) {
    return softCap == 0 ? score : softCap * Math.tanh(score / softCap);
  }

  private static void softmax(double[] scores, int length, double sink) {
    double max = Double.isNaN(sink) ? Double.NEGATIVE_INFINITY : sink;
    for (int i = 0; i < length; i++) {
      max = Math.max(max, scores[i]);
    }
    double sum = Double.isNaN(sink) ? 0 : Math.exp(sink - max);
    for (int i = 0; i < length; i++) {
      scores[i] = Math.exp(scores[i] - max);
      sum += scores[i];
    }
    for (int i = 0; i < length; i++) {
      scores[i] /= sum;
    }
  }

  @Override
  public void attention(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch) {
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
        scratch,
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
  public void attentionPart(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      PartialAttention part,
      int from,
      int to,
      MemorySegment scratch) {
    Shapes.checkPart(shape, q, spans, kvHead, part, from, to);
    heads(
        shape,
        q,
        firstPosition,
        spans,
        kvHead,
        from,
        to,
        scratch,
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
  public void attentionWeights(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch) {
    Shapes.checkWeights(shape, q, spans, kvHead, out, from, to);
    int group = shape.heads() / shape.kvHeads();
    for (int row = 0; row < out.rows(); row++) {
      int t = from + row / group;
      int head = kvHead * group + row % group;
      int column = 0;
      for (KvSpan span : spans) {
        int first = span.firstVisible(shape, firstPosition + t);
        int end = span.endVisible(shape, firstPosition + t);
        for (int i = 0; i < span.length(); i++) {
          double score = Double.NEGATIVE_INFINITY;
          if (i >= first && i < end) {
            score = score(shape, q, t, head, span, i, scratch);
          }
          put(out.data(), out.rowOffset(row), column++, (float) score);
        }
      }
    }
    Attention.softmaxRows(this, shape, kvHead, out);
  }

  private static double score(
      AttentionShape shape,
      Matrix q,
      int row,
      int head,
      KvSpan span,
      int token,
      MemorySegment scratch) {
    int size = span.keySize(shape);
    span.keyFormat().decode(span.memory(), span.key(shape, token), scratch, 0, size);
    restore(span.keys(), shape.keySize(), scratch);
    double score = 0;
    for (int c = 0; c < shape.keySize(); c++) {
      double x = get(q.data(), q.rowOffset(row), head * shape.keySize() + c);
      score += x * get(scratch, 0, c);
    }
    return capped(score * shape.scale(), shape.softCap());
  }

  /** Makes a vector again of what is held of it. */
  private static void restore(@Nullable Reduction reduction, int size, MemorySegment scratch) {
    if (reduction != null) {
      float[] held = new float[reduction.held()];
      MemorySegment.copy(scratch, F32, 0, held, 0, held.length);
      float[] vector = new float[size];
      reduction.restore(held, vector);
      MemorySegment.copy(vector, 0, scratch, F32, 0, size);
    }
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
      MemorySegment scratch,
      @Nullable PartialAttention before,
      HeadResult each) {
    int group = shape.heads() / shape.kvHeads();
    double[] scores = new double[KvSpan.length(spans)];
    double[] result = new double[shape.valueSize()];
    for (int t = from; t < to; t++) {
      int position = firstPosition + t;
      for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
        double max = Double.NEGATIVE_INFINITY;
        int count = 0;
        for (KvSpan span : spans) {
          int end = span.endVisible(shape, position);
          for (int i = span.firstVisible(shape, position); i < end; i++) {
            scores[count] = score(shape, q, t, head, span, i, scratch);
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
            long value = span.value(shape, i);
            int size = span.valueSize(shape);
            span.valueFormat().decode(span.memory(), value, scratch, 0, size);
            restore(span.values(), shape.valueSize(), scratch);
            for (int c = 0; c < shape.valueSize(); c++) {
              result[c] += weight * get(scratch, 0, c);
            }
          }
        }
        each.accept(t, head, max, sum, result);
      }
    }
  }

  private static float get(MemorySegment s, long offset, int index) {
    return s.get(F32, offset + (long) index * Float.BYTES);
  }

  private static void put(MemorySegment s, long offset, int index, float value) {
    s.set(F32, offset + (long) index * Float.BYTES, value);
  }
}
