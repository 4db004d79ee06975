package dev.knapsack.kernel;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Attention that takes {@link #CHUNK} cached tokens and {@link #QUERIES} queries at a time; the
 * softmax is kept up as it goes (Milakov and Gimelshein, arXiv 1805.02867), so that scratch memory
 * does not grow with the context.
 *
 * <p>All query heads that share the KV head, of some rows, meet a chunk while it is in the first
 * cache (Dao et al., arXiv 2205.14135: bytes moved are proportional to 1 / the rows that do). Where
 * there are few queries, or float32 numbers, a chunk is read as it is stored, otherwise it is
 * decoded once for all.
 *
 * <p>Which tokens meet is decided here; what is computed with them is a provider's {@link Steps}.
 */
public final class ChunkedAttention implements Attention {
  /** Cached tokens at a time; chunks lie at multiples of this in a page. */
  public static final int CHUNK = 64;

  /** Queries at a time: each key and each value that is loaded serves so many. */
  public static final int QUERIES = 4;

  /** Query rows that share one decoding of the cache, and queries: whichever is more. */
  private static final int ROWS = 8;

  private static final int SHARING = 32;

  /** More groups of queries than this are worth decoding keys and values for. */
  private static final int GROUPS_ON_STORED = 1;

  // What lies in front of a group's results: one number a query each.
  public static final int MAX = -3 * QUERIES;
  public static final int SUM = -2 * QUERIES;
  public static final int DECAY = -QUERIES;

  /**
   * The inner loops, for {@link #QUERIES} queries that lie one after the other, of which {@code
   * live} count. Scratch memory begins with the scores of a chunk: token by token, one number a
   * query. Places in it are indices of floats.
   */
  public interface Steps {
    /** Decodes {@code count} numbers of a page to {@code at}. */
    void decode(Format format, MemorySegment page, long offset, Scratch scratch, int at, int count);

    /** {@code scores[t][i] = query_i · key_t} for {@code count} decoded keys. */
    void scores(Scratch scratch, int queries, int live, int keys, int size, int count);

    /**
     * Scores of keys as a page stores them; false, and nothing done, where there is no code.
     *
     * @param stride bytes from a key to the next
     */
    default boolean storedScores(
        Format format,
        MemorySegment page,
        long offset,
        long stride,
        Scratch scratch,
        int queries,
        int size,
        int count) {
      return false;
    }

    /** {@code score = cap · tanh(score / cap)} for the scores of {@code count} tokens. */
    void softCap(Scratch scratch, float cap, int count);

    /**
     * Turns the scores of {@code count} tokens, a multiple of 4, into weights {@code e^(score −
     * max)}, and keeps up the running softmax: in front of the results stand, for each query, the
     * maximum, the sum, and, afterwards, the factor {@code e^(max before − max)} by which what was
     * added up before has decayed.
     */
    void softmax(Scratch scratch, int results, int count);

    /** {@code result_i = decay_i · result_i + Σ_t weight[t][i] · value_t}, with decoded values. */
    void addValues(Scratch scratch, int results, int live, int values, int size, int count);

    /**
     * Adds values as a page stores them; false, and nothing done, without code.
     *
     * @param stride bytes from a value to the next
     */
    default boolean addStoredValues(
        Format format,
        MemorySegment page,
        long offset,
        long stride,
        Scratch scratch,
        int results,
        int size,
        int count) {
      return false;
    }
  }

  private final Steps steps;
  private final RowOperations rows;
  private final ReducedAttention reduced;

  /**
   * @param rows for the softmax of {@link #weights}
   */
  public ChunkedAttention(Steps steps, RowOperations rows) {
    this.steps = steps;
    this.rows = rows;
    this.reduced = new ReducedAttention(steps);
  }

  /** Rows at a time, of heads of which so many share a KV head. */
  private static int rows(int group) {
    return Math.max(ROWS, SHARING / group);
  }

  static int groups(int queries) {
    return Math.ceilDiv(queries, QUERIES);
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    long size = limits.headSize();
    long groups = groups(Math.max(SHARING, ROWS * limits.queryGroup()));
    long group = QUERIES * (2 * size - MAX);
    return Float.BYTES
        * (QUERIES * CHUNK + groups * group + 2 * CHUNK * size + groups * QUERIES * (2 * size + 1));
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
    attend(
        shape,
        q,
        firstPosition,
        spans,
        kvHead,
        from,
        to,
        scratch,
        null,
        (block, query) -> finish(block, query, out));
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
    attend(
        shape,
        q,
        firstPosition,
        spans,
        kvHead,
        from,
        to,
        scratch,
        part,
        (block, query) -> move(block, query, part, false));
  }

  /** Takes what a query has come to out of scratch memory. */
  private interface Finish {
    void accept(QueryBlock block, int query);
  }

  private void attend(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      int from,
      int to,
      Scratch scratch,
      @Nullable PartialAttention before,
      Finish finish) {
    int rows = rows(shape.heads() / shape.kvHeads());
    for (int row = from; row < to; row += rows) {
      QueryBlock block =
          new QueryBlock(shape, kvHead, firstPosition, row, Math.min(to, row + rows), scratch);
      begin(block, q);
      for (int i = 0; before != null && i < block.queryCount(); i++) {
        move(block, i, before, true);
      }
      for (KvSpan span : spans) {
        chunks(block, span);
      }
      for (int i = 0; i < block.queryCount(); i++) {
        finish.accept(block, i);
      }
    }
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
    int step = rows(shape.heads() / shape.kvHeads());
    for (int row = from; row < to; row += step) {
      QueryBlock block =
          new QueryBlock(shape, kvHead, firstPosition, row, Math.min(to, row + step), scratch);
      begin(block, q);
      int before = 0;
      for (KvSpan span : spans) {
        reduced.reduceQueries(block, span);
        for (int token = 0; token < span.length(); ) {
          int inPage = token % span.pageTokens();
          int next = token + Math.min(span.pageTokens() - inPage, CHUNK);
          int count = Math.min(span.length(), next) - token;
          scoreChunk(block, span, token, count, before, row - from, out);
          token = next;
        }
        before += span.length();
      }
    }
    softmaxRows(rows, shape, kvHead, out);
  }

  /** Turns scores, −∞ for tokens that a row does not see, into the weights of all tokens. */
  static void softmaxRows(RowOperations rows, AttentionShape shape, int kvHead, Matrix scores) {
    int group = shape.heads() / shape.kvHeads();
    MemorySegment sinks = shape.sinks();
    for (int row = 0; row < scores.rows(); row++) {
      int head = kvHead * group + row % group;
      float sink = sinks == null ? Float.NaN : sinks.getAtIndex(Floats.F32, head);
      long at = scores.rowOffset(row);
      if (seesSomething(scores, at)) {
        rows.softmax(scores.data(), at, scores.columns(), sink);
      } else {
        scores.data().asSlice(at, scores.rowBytes()).fill((byte) 0);
      }
    }
  }

  private static boolean seesSomething(Matrix scores, long at) {
    for (int c = 0; c < scores.columns(); c++) {
      if (scores.data().get(Floats.F32, at + 4L * c) > Float.NEGATIVE_INFINITY) {
        return true;
      }
    }
    return false;
  }

  private void scoreChunk(
      QueryBlock block, KvSpan span, int token, int count, int before, int firstRow, Matrix out) {
    AttentionShape shape = block.shape();
    Scratch scratch = block.scratch();
    int size = span.keySize(shape);
    int groups = groups(block.queryCount());
    boolean decoded = !onStored(span, groups);
    if (decoded) {
      decodeKeys(block, span, token, count);
    }
    float[] scores = new float[count];
    for (int g = 0; g < groups; g++) {
      int queries = queries(block, span, g);
      if (!decoded && !storedScores(block, span, queries, token, count)) {
        decodeKeys(block, span, token, count);
        decoded = true;
      }
      if (decoded) {
        steps.scores(scratch, queries, block.live(g), block.keys(), size, count);
      }
      if (shape.softCap() != 0) {
        steps.softCap(scratch, shape.softCap(), count);
      }
      lean(block, span, g, token, count);
      mask(block, span, g, token, count);
      for (int i = 0; i < block.live(g); i++) {
        int row = firstRow * block.shared() + g * QUERIES + i;
        long at = out.rowOffset(row) + (long) (before + token) * Float.BYTES;
        for (int t = 0; t < count; t++) {
          scores[t] = scratch.floats()[t * QUERIES + i];
        }
        MemorySegment.copy(scores, 0, out.data(), Floats.F32, at, count);
      }
    }
  }

  private static void begin(QueryBlock block, Matrix q) {
    AttentionShape shape = block.shape();
    float[] memory = block.scratch().floats();
    int size = shape.keySize();
    Arrays.fill(memory, block.queries(0), block.keys(), 0);
    for (int i = 0; i < block.queryCount(); i++) {
      int group = i / QUERIES;
      int query = block.queries(group) + i % QUERIES * size;
      memory[block.results(group) + MAX + i % QUERIES] = Float.NEGATIVE_INFINITY;
      long at = q.rowOffset(block.row(i)) + (long) block.head(i) * size * Float.BYTES;
      MemorySegment.copy(q.data(), Floats.F32, at, memory, query, size);
      for (int c = query; c < query + size; c++) {
        memory[c] *= shape.scale();
      }
    }
  }

  /** Takes in the tokens of a span that the block sees. */
  private void chunks(QueryBlock block, KvSpan span) {
    int last = block.endVisible(span, block.to() - 1);
    int page = span.pageTokens();
    int token = block.firstVisible(span, block.from());
    if (token >= last) {
      return;
    }
    // From a chunk's first token on: which lanes a token meets must not depend on the rows.
    token -= token % page % CHUNK;
    reduced.reduceQueries(block, span);
    if (span.values() != null) {
      ReducedAttention.putAside(block);
    }
    while (token < last) {
      int inPage = token % page;
      int next = token + Math.min(page - inPage, CHUNK);
      chunk(block, span, token, Math.min(last, next));
      token = next;
    }
    if (span.values() != null) {
      reduced.addRestored(block, span.values());
    }
  }

  private void chunk(QueryBlock block, KvSpan span, int token, int end) {
    AttentionShape shape = block.shape();
    Scratch scratch = block.scratch();
    int count = end - token;
    int keySize = span.keySize(shape);
    int valueSize = span.valueSize(shape);
    int groups = groups(block.queryCount());
    boolean keysDecoded = !onStored(span, groups);
    boolean valuesDecoded = keysDecoded;
    if (keysDecoded) {
      decodeKeys(block, span, token, count);
      decodeValues(block, span, token, count);
    }
    for (int g = 0; g < groups; g++) {
      int queries = queries(block, span, g);
      int results = block.results(g);
      int live = block.live(g);
      if (!keysDecoded && !storedScores(block, span, queries, token, count)) {
        decodeKeys(block, span, token, count);
        keysDecoded = true;
      }
      if (keysDecoded) {
        steps.scores(scratch, queries, live, block.keys(), keySize, count);
      }
      if (shape.softCap() != 0) {
        steps.softCap(scratch, shape.softCap(), count);
      }
      int padded = (count + 3) & -4;
      Arrays.fill(scratch.floats(), count * QUERIES, padded * QUERIES, Float.NEGATIVE_INFINITY);
      lean(block, span, g, token, count);
      mask(block, span, g, token, count);
      steps.softmax(scratch, results, padded);
      if (!valuesDecoded
          && !steps.addStoredValues(
              span.valueFormat(),
              span.memory(),
              span.value(shape, token),
              span.valueStride(shape),
              scratch,
              results,
              valueSize,
              count)) {
        decodeValues(block, span, token, count);
        valuesDecoded = true;
      }
      if (valuesDecoded) {
        steps.addValues(scratch, results, live, block.values(), valueSize, count);
      }
    }
  }

  /** Says whether keys and values are met as they are stored. */
  private static boolean onStored(KvSpan span, int groups) {
    return groups <= GROUPS_ON_STORED
        || (span.keyFormat().equals(Formats.F32) && span.valueFormat().equals(Formats.F32));
  }

  private boolean storedScores(QueryBlock block, KvSpan span, int queries, int token, int count) {
    AttentionShape shape = block.shape();
    return steps.storedScores(
        span.keyFormat(),
        span.memory(),
        span.key(shape, token),
        span.keyStride(shape),
        block.scratch(),
        queries,
        span.keySize(shape),
        count);
  }

  private void decodeKeys(QueryBlock block, KvSpan span, int token, int count) {
    AttentionShape shape = block.shape();
    int size = span.keySize(shape);
    long at = span.key(shape, token);
    long stride = span.keyStride(shape);
    decode(span, span.keyFormat(), at, stride, block, block.keys(), size, count);
  }

  private void decodeValues(QueryBlock block, KvSpan span, int token, int count) {
    AttentionShape shape = block.shape();
    int size = span.valueSize(shape);
    long at = span.value(shape, token);
    long stride = span.valueStride(shape);
    decode(span, span.valueFormat(), at, stride, block, block.values(), size, count);
  }

  /** Decodes vectors of one page: at once where they lie close; rows of a step do not. */
  private void decode(
      KvSpan span,
      Format format,
      long offset,
      long stride,
      QueryBlock block,
      int at,
      int size,
      int count) {
    if (stride == format.bytes(size)) {
      steps.decode(format, span.memory(), offset, block.scratch(), at, count * size);
    } else if (format.equals(Formats.F32)) {
      float[] numbers = block.scratch().floats();
      for (int t = 0; t < count; t++) {
        MemorySegment.copy(
            span.memory(), Floats.F32, offset + t * stride, numbers, at + t * size, size);
      }
    } else {
      for (int t = 0; t < count; t++) {
        steps.decode(
            format, span.memory(), offset + t * stride, block.scratch(), at + t * size, size);
      }
    }
  }

  /** The place of a group's queries that meet a span's keys. */
  private static int queries(QueryBlock block, KvSpan span, int group) {
    return span.keys() == null ? block.queries(group) : block.reducedQueries(group);
  }

  /** Lowers scores by how far tokens are away, where heads have slopes. */
  private static void lean(QueryBlock block, KvSpan span, int group, int token, int count) {
    MemorySegment slopes = block.shape().slopes();
    if (slopes == null) {
      return;
    }
    float[] scores = block.scratch().floats();
    for (int i = 0; i < block.live(group); i++) {
      int query = group * QUERIES + i;
      float slope = slopes.getAtIndex(Floats.F32, block.head(query));
      int position = block.firstPosition() + block.row(query);
      for (int t = 0; t < count; t++) {
        scores[t * QUERIES + i] -= slope * Math.abs(position - span.position(token + t));
      }
    }
  }

  /** Takes away the scores of tokens that a query does not see. */
  private static void mask(QueryBlock block, KvSpan span, int group, int token, int count) {
    for (int i = 0; i < block.live(group); i++) {
      int row = block.row(group * QUERIES + i);
      int first = Math.min(count, block.firstVisible(span, row) - token);
      for (int t = 0; t < first; t++) {
        block.scratch().floats()[t * QUERIES + i] = Float.NEGATIVE_INFINITY;
      }
      for (int t = Math.max(0, block.endVisible(span, row) - token); t < count; t++) {
        block.scratch().floats()[t * QUERIES + i] = Float.NEGATIVE_INFINITY;
      }
    }
  }

  private static void finish(QueryBlock block, int query, Matrix out) {
    int size = block.shape().valueSize();
    float[] memory = block.scratch().floats();
    int results = block.results(query / QUERIES);
    int result = results + query % QUERIES * size;
    float factor =
        weight(
            block.shape(),
            block.head(query),
            memory[results + MAX + query % QUERIES],
            memory[results + SUM + query % QUERIES]);
    for (int c = result; c < result + size; c++) {
      memory[c] *= factor;
    }
    long at = out.rowOffset(block.row(query)) + (long) block.head(query) * size * Float.BYTES;
    MemorySegment.copy(memory, result, out.data(), Floats.F32, at, size);
  }

  /**
   * The factor of a sum of values weighted by {@code e^(score − max)} in the end: 1 / the sum of
   * all weights, the head's sink's among them.
   */
  static float weight(AttentionShape shape, int head, float max, float sum) {
    MemorySegment sinks = shape.sinks();
    double all = sum;
    if (sinks != null) {
      all += Math.exp((double) sinks.getAtIndex(Floats.F32, head) - max);
    }
    return all > 0 ? (float) (1 / all) : 0;
  }

  /** Moves what a query has come to into scratch memory, or out of it. */
  private static void move(QueryBlock block, int query, PartialAttention part, boolean in) {
    AttentionShape shape = block.shape();
    int row = block.row(query);
    int head = block.head(query);
    int lane = query % QUERIES;
    int results = block.results(query / QUERIES);
    int size = shape.valueSize();
    float[] memory = block.scratch().floats();
    MemorySegment softmax = part.softmax().data();
    MemorySegment values = part.values().data();
    long state = part.softmaxOffset(row, head);
    long at = part.valuesOffset(shape, row, head);
    if (in) {
      memory[results + MAX + lane] = softmax.get(Floats.F32, state);
      memory[results + SUM + lane] = softmax.get(Floats.F32, state + Float.BYTES);
      MemorySegment.copy(values, Floats.F32, at, memory, results + lane * size, size);
    } else {
      softmax.set(Floats.F32, state, memory[results + MAX + lane]);
      softmax.set(Floats.F32, state + Float.BYTES, memory[results + SUM + lane]);
      MemorySegment.copy(memory, results + lane * size, values, Floats.F32, at, size);
    }
  }
}
