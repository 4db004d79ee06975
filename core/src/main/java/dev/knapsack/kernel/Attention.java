package dev.knapsack.kernel;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Attention with one KV head, {@link #CHUNK} cached tokens at a time: keys and values are decoded
 * once for all query rows and heads that share them, and the softmax is kept up as it goes (Milakov
 * and Gimelshein, arXiv 1805.02867), so that scratch memory does not grow with the context.
 *
 * <p>Which tokens meet is decided here; what is computed with them is a provider's {@link Steps}.
 */
public final class Attention {
  /** Cached tokens at a time; chunks lie at multiples of this in a page. */
  public static final int CHUNK = 64;

  /** Floats of a query's state: the maximum, the sum, and the last decay. */
  private static final int STATE = 3;

  /**
   * The inner loops, on scratch memory that begins with {@link #CHUNK} scores. Places in it are
   * indices of floats.
   */
  public interface Steps {
    /** Decodes {@code count} numbers of a page to {@code at}. */
    void decode(Format format, MemorySegment page, long offset, float[] memory, int at, int count);

    /**
     * {@code scores[i] = query · key_i} for {@code count} keys; the scores after them may be
     * overwritten, and as many keys as there may be scores may be read.
     */
    void scores(float[] memory, int query, int keys, int size, int count);

    /** {@code score = cap · tanh(score / cap)} for all scores of a chunk. */
    void softCap(float[] memory, float cap);

    /**
     * Turns all scores of a chunk into weights {@code e^(score − max)}, and keeps up the running
     * softmax: at {@code state} stand the maximum, the sum, and, afterwards, the factor {@code
     * e^(max before − max)} by which what was added up before has decayed.
     */
    void softmax(float[] memory, int state);

    /** {@code result = decay · result + Σ_i weight_i · value_i}. */
    void addValues(float[] memory, int result, float decay, int values, int size, int count);
  }

  /** Query rows that share one decoding of the cache. */
  private static final int ROWS = 8;

  private final Steps steps;

  public Attention(Steps steps) {
    this.steps = steps;
  }

  public static long scratchBytes(KernelLimits limits) {
    long queries = (long) ROWS * limits.queryGroup();
    long size = limits.headSize();
    return Float.BYTES * (CHUNK + queries * (STATE + 2 * size) + 2 * CHUNK * size);
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
      return CHUNK + STATE * query;
    }

    int query(int query) {
      return CHUNK + STATE * queries() + query * shape.keySize();
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

  /** See {@link Kernels#attention}; scratch memory is a float array on the heap. */
  public void attend(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvPages pages,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch) {
    float[] memory = array(scratch);
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
          sinks == null
              ? Float.NEGATIVE_INFINITY
              : sinks.get(ScalarKernels.F32, (long) head * Float.BYTES);
      memory[block.state(i) + 1] = sinks == null ? 0 : 1;
      long at = q.rowOffset(block.from + i / group) + (long) head * shape.keySize() * Float.BYTES;
      int query = block.query(i);
      MemorySegment.copy(q.data(), ScalarKernels.F32, at, memory, query, shape.keySize());
      for (int c = query; c < query + shape.keySize(); c++) {
        memory[c] *= shape.scale();
      }
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
    steps.decode(
        pages.keyFormat(), pages.keys()[page], key, memory, block.keys(), count * shape.keySize());
    steps.decode(
        pages.valueFormat(),
        pages.values()[page],
        value,
        memory,
        block.values(),
        count * shape.valueSize());
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
  private void attend(Block block, int query, int first, int count) {
    AttentionShape shape = block.shape;
    float[] memory = block.memory;
    int keys = block.keys() + first * shape.keySize();
    steps.scores(memory, block.query(query), keys, shape.keySize(), count);
    if (shape.softCap() != 0) {
      steps.softCap(memory, shape.softCap());
    }
    // What lies beyond the last score must not count.
    Arrays.fill(memory, count, CHUNK, Float.NEGATIVE_INFINITY);
    int state = block.state(query);
    steps.softmax(memory, state);
    int values = block.values() + first * shape.valueSize();
    float decay = memory[state + 2];
    steps.addValues(memory, block.result(query), decay, values, shape.valueSize(), count);
  }

  /** The array that scratch memory is: see {@link Kernels#heapScratch}. */
  public static float[] array(MemorySegment scratch) {
    if (scratch.heapBase().orElse(null) instanceof float[] array) {
      return array;
    }
    throw new IllegalArgumentException(
        "These kernels work with scratch memory that is a float array on the heap");
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
      MemorySegment.copy(memory, result, out.data(), ScalarKernels.F32, at, size);
    }
  }
}
