package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.KvPages;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Attention with one KV head, {@link #CHUNK} cached tokens at a time: keys and values are decoded
 * once for all query rows and heads that share them, and the softmax is kept up as it goes (Milakov
 * and Gimelshein, arXiv 1805.02867), so that scratch memory does not grow with the context.
 */
final class Attention {
  /** Cached tokens at a time; chunks lie at multiples of this in a page. */
  static final int CHUNK = 32;

  /** Query rows that share one decoding of the cache. */
  private static final int ROWS = 8;

  private final RowKernels rows;

  Attention(RowKernels rows) {
    this.rows = rows;
  }

  static long scratchBytes(KernelLimits limits) {
    long queries = (long) ROWS * limits.queryGroup();
    long size = limits.headSize();
    return Float.BYTES * (CHUNK + queries * (2 + 2 * size) + 2 * CHUNK * size);
  }

  /**
   * Some query rows and one KV head, and where things lie in the scratch memory: the scores of a
   * chunk, then for each query (a row and a head of the group) the running maximum and sum, then
   * the queries, the results, and the keys and values of a chunk.
   */
  private record Block(
      AttentionShape shape,
      KvPages pages,
      int kvHead,
      int firstPosition,
      int from,
      int to,
      float[] memory) {
    int group() {
      return shape.heads() / shape.kvHeads();
    }

    int queries() {
      return (to - from) * group();
    }

    int state(int query) {
      return CHUNK + 2 * query;
    }

    int query(int query) {
      return CHUNK + 2 * queries() + query * shape.keySize();
    }

    int result(int query) {
      return query(queries()) + query * shape.valueSize();
    }

    int keys() {
      return result(queries());
    }

    int values() {
      return keys() + CHUNK * shape.keySize();
    }

    int firstVisible(int row) {
      return pages.firstVisible(shape, firstPosition + row);
    }

    int endVisible(int row) {
      return pages.endVisible(shape, firstPosition + row);
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
    float[] memory = VectorKernels.array(scratch);
    for (int row = from; row < to; row += ROWS) {
      int last = Math.min(to, row + ROWS);
      Block block = new Block(shape, pages, kvHead, firstPosition, row, last, memory);
      begin(block, q);
      int pageTokens = pages.pageTokens();
      int end = block.endVisible(last - 1);
      for (int token = block.firstVisible(row); token < end; ) {
        int inPage = token % pageTokens;
        int next = token - inPage + Math.min(pageTokens, (inPage / CHUNK + 1) * CHUNK);
        chunk(block, token, Math.min(end, next));
        token = next;
      }
      finish(block, out);
    }
  }

  private static void begin(Block block, Matrix q) {
    AttentionShape shape = block.shape;
    float[] memory = block.memory;
    int group = block.group();
    MemorySegment sinks = shape.sinks();
    for (int i = 0; i < block.queries(); i++) {
      int head = block.kvHead * group + i % group;
      memory[block.state(i)] =
          sinks == null ? Float.NEGATIVE_INFINITY : Lanes.get(sinks, (long) head * Float.BYTES);
      memory[block.state(i) + 1] = sinks == null ? 0 : 1;
      long at = q.rowOffset(block.from + i / group) + (long) head * shape.keySize() * Float.BYTES;
      MemorySegment.copy(q.data(), Lanes.F32, at, memory, block.query(i), shape.keySize());
    }
    Arrays.fill(memory, block.result(0), block.keys(), 0);
  }

  private void chunk(Block block, int token, int end) {
    AttentionShape shape = block.shape;
    KvPages pages = block.pages;
    float[] memory = block.memory;
    int page = token / pages.pageTokens();
    long key = pages.offset(pages.keyFormat(), shape.keySize(), block.kvHead, token);
    long value = pages.offset(pages.valueFormat(), shape.valueSize(), block.kvHead, token);
    int count = end - token;
    rows.of(pages.keyFormat())
        .unpack(pages.keys()[page], key, memory, block.keys(), count * shape.keySize());
    rows.of(pages.valueFormat())
        .unpack(pages.values()[page], value, memory, block.values(), count * shape.valueSize());
    int group = block.group();
    for (int i = 0; i < block.queries(); i++) {
      int row = block.from + i / group;
      int skipped = Math.max(0, block.firstVisible(row) - token);
      int seen = Math.min(count, block.endVisible(row) - token) - skipped;
      if (seen > 0) {
        attend(block, i, skipped, seen);
      }
    }
  }

  /** Takes some keys and values of the chunk into the running softmax of one query. */
  private static void attend(Block block, int query, int first, int count) {
    AttentionShape shape = block.shape;
    float[] memory = block.memory;
    int size = shape.keySize();
    int keys = block.keys() + first * size;
    AttentionLoops.scores(memory, block.query(query), keys, size, count, shape.scale());
    if (shape.softCap() != 0) {
      AttentionLoops.softCap(memory, CHUNK, shape.softCap());
    }
    int state = block.state(query);
    float before = memory[state];
    float max = before;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, memory[i]);
    }
    if (max == Float.NEGATIVE_INFINITY) {
      return;
    }
    // What lies beyond the last score must not count.
    Arrays.fill(memory, count, CHUNK, Float.NEGATIVE_INFINITY);
    float sum = AttentionLoops.weights(memory, CHUNK, max);
    float decay = before == max ? 1 : (float) Math.exp(before - max);
    memory[state] = max;
    memory[state + 1] = memory[state + 1] * decay + sum;
    int values = block.values() + first * shape.valueSize();
    AttentionLoops.addValues(memory, block.result(query), decay, values, shape.valueSize(), count);
  }

  private static void finish(Block block, Matrix out) {
    int size = block.shape.valueSize();
    int group = block.group();
    float[] memory = block.memory;
    for (int i = 0; i < block.queries(); i++) {
      float sum = memory[block.state(i) + 1];
      int result = block.result(i);
      if (sum > 0) {
        float factor = 1 / sum;
        for (int c = result; c < result + size; c++) {
          memory[c] *= factor;
        }
      }
      int head = block.kvHead * group + i % group;
      long at = out.rowOffset(block.from + i / group) + (long) head * size * Float.BYTES;
      MemorySegment.copy(memory, result, out.data(), Lanes.F32, at, size);
    }
  }
}
