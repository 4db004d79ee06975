package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.KvPages;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Attention with one KV head, {@link #CHUNK} cached tokens at a time: keys and values are decoded
 * once for all query rows and heads that share them, and the softmax is kept up as it goes (Milakov
 * and Gimelshein, arXiv 1805.02867), so that scratch memory does not grow with the context.
 */
final class Attention {
  /** Cached tokens at a time, counted from the start of their page. */
  private static final int CHUNK = 32;

  /** Query rows that share one decoding of the cache. */
  private static final int ROWS = 16;

  private final RowKernels rows;

  Attention(RowKernels rows) {
    this.rows = rows;
  }

  static long scratchBytes(KernelLimits limits) {
    long state = 2L * Float.BYTES * ROWS * limits.queryGroup();
    long tile = (long) CHUNK * limits.headSize() * Float.BYTES;
    return (long) CHUNK * Float.BYTES + state + 2 * tile;
  }

  /** One call's operands and where its scratch lies, so that its steps need few parameters. */
  private record Call(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvPages pages,
      int kvHead,
      Matrix out,
      MemorySegment scratch) {
    int group() {
      return shape.heads() / shape.kvHeads();
    }

    /** The running maximum of a query row and head, and after it the running sum. */
    long state(int row, int head) {
      return (long) CHUNK * Float.BYTES + 2L * Float.BYTES * ((long) row * group() + head);
    }

    long keyTile() {
      return (long) CHUNK * Float.BYTES + 2L * Float.BYTES * ROWS * group();
    }

    long valueTile() {
      return keyTile() + (long) CHUNK * shape.keySize() * Float.BYTES;
    }

    long queryOffset(int t, int head) {
      return q.rowOffset(t) + 4L * (kvHead * group() + head) * shape.keySize();
    }

    long outOffset(int t, int head) {
      return out.rowOffset(t) + 4L * (kvHead * group() + head) * shape.valueSize();
    }

    int first(int t) {
      return pages.firstVisible(shape, firstPosition + t);
    }

    int end(int t) {
      return pages.endVisible(shape, firstPosition + t);
    }
  }

  void attend(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvPages pages,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch) {
    Call call = new Call(shape, q, firstPosition, pages, kvHead, out, scratch);
    for (int t = from; t < to; t += ROWS) {
      attend(call, t, Math.min(to, t + ROWS));
    }
  }

  private void attend(Call call, int from, int to) {
    begin(call, from, to);
    int first = call.first(from);
    int end = call.end(to - 1);
    int pageTokens = call.pages.pageTokens();
    for (int token = first; token < end; ) {
      int inPage = token % pageTokens;
      // Chunks lie at multiples of their size in a page, so that they are the same for every range.
      int next = token - inPage + Math.min(pageTokens, (inPage / CHUNK + 1) * CHUNK);
      chunk(call, from, to, token, Math.min(end, next));
      token = next;
    }
    finish(call, from, to);
  }

  private static void begin(Call call, int from, int to) {
    MemorySegment sinks = call.shape.sinks();
    for (int t = from; t < to; t++) {
      for (int head = 0; head < call.group(); head++) {
        float sink =
            sinks == null
                ? Float.NEGATIVE_INFINITY
                : Lanes.get(sinks, 4L * (call.kvHead * call.group() + head));
        long state = call.state(t - from, head);
        Lanes.put(call.scratch, state, sink);
        Lanes.put(call.scratch, state + Float.BYTES, sinks == null ? 0 : 1);
        long at = call.outOffset(t, head);
        call.out.data().asSlice(at, 4L * call.shape.valueSize()).fill((byte) 0);
      }
    }
  }

  private void chunk(Call call, int from, int to, int token, int end) {
    AttentionShape shape = call.shape;
    KvPages pages = call.pages;
    int page = token / pages.pageTokens();
    long key = pages.offset(pages.keyFormat(), shape.keySize(), call.kvHead, token);
    long value = pages.offset(pages.valueFormat(), shape.valueSize(), call.kvHead, token);
    MemorySegment keys = pages.keys()[page];
    MemorySegment values = pages.values()[page];
    int count = end - token;
    if (!pages.keyFormat().equals(Formats.F32)) {
      unpack(pages.keyFormat(), keys, key, call.scratch, call.keyTile(), count * shape.keySize());
      keys = call.scratch;
      key = call.keyTile();
    }
    if (!pages.valueFormat().equals(Formats.F32)) {
      unpack(
          pages.valueFormat(),
          values,
          value,
          call.scratch,
          call.valueTile(),
          count * shape.valueSize());
      values = call.scratch;
      value = call.valueTile();
    }
    for (int t = from; t < to; t++) {
      int skipped = Math.max(0, call.first(t) - token);
      int seen = Math.min(count, call.end(t) - token) - skipped;
      if (seen > 0) {
        long k = key + 4L * skipped * shape.keySize();
        long v = value + 4L * skipped * shape.valueSize();
        for (int head = 0; head < call.group(); head++) {
          score(call, t, head, keys, k, seen);
          accumulate(call, t - from, call.outOffset(t, head), head, values, v, seen);
        }
      }
    }
  }

  private void unpack(
      Format format, MemorySegment page, long offset, MemorySegment scratch, long at, int numbers) {
    rows.of(format).unpack(page, offset, scratch, at, numbers);
  }

  /** The scores of one query with some keys, to the start of the scratch. */
  private static void score(Call call, int t, int head, MemorySegment keys, long key, int count) {
    int size = call.shape.keySize();
    long query = call.queryOffset(t, head);
    float cap = call.shape.softCap();
    for (int i = 0; i < count; i++) {
      float dot = dot(call.q.data(), query, keys, key + 4L * i * size, size);
      float score = dot * call.shape.scale();
      Lanes.put(call.scratch, 4L * i, cap == 0 ? score : (float) (cap * Math.tanh(score / cap)));
    }
  }

  private static float dot(MemorySegment q, long query, MemorySegment keys, long key, int size) {
    return F32Row.dot(q, query, keys, key, size);
  }

  /** Takes some scores and values into the running softmax and sum of one query. */
  private static void accumulate(
      Call call, int row, long at, int head, MemorySegment values, long value, int count) {
    MemorySegment scratch = call.scratch;
    long state = call.state(row, head);
    float before = Lanes.get(scratch, state);
    float max = before;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, Lanes.get(scratch, 4L * i));
    }
    if (max == Float.NEGATIVE_INFINITY) {
      return;
    }
    float sum = weights(scratch, count, max);
    float decay = before == max ? 1 : (float) Math.exp(before - max);
    Lanes.put(scratch, state, max);
    Lanes.put(scratch, state + Float.BYTES, Lanes.get(scratch, state + Float.BYTES) * decay + sum);
    int size = call.shape.valueSize();
    addValues(call.out.data(), at, decay, scratch, values, value, count, size);
  }

  /** Turns scores into {@code e^(score − max)} and returns their sum. */
  private static float weights(MemorySegment scores, int count, float max) {
    // Scores beyond the last are whatever was there: they are made to vanish.
    for (int i = count; i < CHUNK; i++) {
      Lanes.put(scores, 4L * i, Float.NEGATIVE_INFINITY);
    }
    FloatVector sum = Lanes.zero();
    for (int i = 0; i < count; i += Lanes.LENGTH) {
      FloatVector w = Functions.exp(Lanes.load(scores, 4L * i).sub(max));
      Lanes.store(w, scores, 4L * i);
      sum = sum.add(w);
    }
    return Lanes.sum(sum);
  }

  /** {@code out = decay · out + Σ_i weight_i · value_i}. */
  private static void addValues(
      MemorySegment out,
      long at,
      float decay,
      MemorySegment weights,
      MemorySegment values,
      long value,
      int count,
      int size) {
    int c = 0;
    for (; c <= size - 2 * Lanes.LENGTH; c += 2 * Lanes.LENGTH) {
      FloatVector a = Lanes.load(out, at + 4L * c).mul(decay);
      FloatVector b = Lanes.load(out, at + 4L * c + Lanes.BYTES).mul(decay);
      for (int i = 0; i < count; i++) {
        long v = value + 4L * ((long) i * size + c);
        FloatVector weight = Lanes.broadcast(Lanes.get(weights, 4L * i));
        a = weight.fma(Lanes.load(values, v), a);
        b = weight.fma(Lanes.load(values, v + Lanes.BYTES), b);
      }
      Lanes.store(a, out, at + 4L * c);
      Lanes.store(b, out, at + 4L * c + Lanes.BYTES);
    }
    for (; c < size; c++) {
      float a = Lanes.get(out, at + 4L * c) * decay;
      for (int i = 0; i < count; i++) {
        float v = Lanes.get(values, value + 4L * ((long) i * size + c));
        a = Math.fma(Lanes.get(weights, 4L * i), v, a);
      }
      Lanes.put(out, at + 4L * c, a);
    }
  }

  private static void finish(Call call, int from, int to) {
    for (int t = from; t < to; t++) {
      for (int head = 0; head < call.group(); head++) {
        float sum = Lanes.get(call.scratch, call.state(t - from, head) + Float.BYTES);
        if (sum > 0) {
          long at = call.outOffset(t, head);
          Elementwise.scale(call.out.data(), at, call.shape.valueSize(), 1 / sum);
        }
      }
    }
  }
}
