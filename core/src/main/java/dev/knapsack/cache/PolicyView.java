package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The view that a sequence's policy gets of its steps, and what is remembered of that beside
 * tokens.
 *
 * <p>Layers with a sliding window are none of its business.
 */
public final class PolicyView {
  /** Query rows whose attention weights are computed together: keys are read once for them. */
  private static final int ROWS_TOGETHER = 4;

  private final KvCache cache;
  private final KvPool pool;
  private final StepObserver observer;

  /** By layer and KV head. */
  private final HeadCache[][] heads;

  /** Numbers that the policy remembers of heads as wholes; null while there are none. */
  private @Nullable PolicyMemory memory;

  /** Attention weights of a layer; null between steps. */
  private @Nullable Lease weights;

  /** By layer, of the last step that the policy looked at. */
  private final @Nullable QueryFrame[] frames;

  /** Of a sequence without tokens. */
  PolicyView(KvCache cache, KvPool pool, HeadCache[][] heads) {
    this(cache, pool, heads, null, new QueryFrame[heads.length]);
  }

  private PolicyView(
      KvCache cache,
      KvPool pool,
      HeadCache[][] heads,
      @Nullable PolicyMemory memory,
      @Nullable QueryFrame[] frames) {
    this.cache = cache;
    this.pool = pool;
    this.observer = pool.layout().policy().observer();
    this.heads = heads;
    this.memory = memory;
    this.frames = frames;
  }

  /**
   * The same of a sequence that goes on from here on its own.
   *
   * @param fork its cache
   * @param forked its heads
   * @param remembered what {@link #forkMemory} gave for it
   */
  PolicyView fork(KvCache fork, HeadCache[][] forked, @Nullable PolicyMemory remembered) {
    return new PolicyView(fork, pool, forked, remembered, frames.clone());
  }

  /** A copy of what is remembered of heads as wholes; null if that is nothing. */
  @Nullable PolicyMemory forkMemory() {
    return memory == null ? null : memory.fork();
  }

  /**
   * The most rows that the policy wants to see after a step of the prompt; 0 once the prompt has
   * been read.
   *
   * @param step the most rows of a step, of which they are half at most
   */
  public int lookahead(int step) {
    return readsPrompt() ? rowsAhead(observer.lookahead(), step) : 0;
  }

  /**
   * Says how many it wants to see after the next step.
   *
   * @param step the most rows of a step
   * @param tokens that this one adds
   */
  public int lookahead(int step, int tokens) {
    return readsPrompt() ? rowsAhead(observer.lookahead(cache, tokens), step) : 0;
  }

  private boolean readsPrompt() {
    return cache.length() < cache.text().promptEnd();
  }

  private int rowsAhead(int wanted, int step) {
    return Math.min(cache.text().ahead(wanted), step / 2);
  }

  /** Says whether the policy wants {@link LayerStep#retention} of a step of so many rows. */
  public boolean wantsRetention(int layer, int rows) {
    return !cache.windowed(layer)
        && observer.gates().isPresent()
        && observer.looks(cache, layer, rows);
  }

  /** Says whether the policy wants {@link LayerStep#outputNorm} of a step of so many rows. */
  public boolean wantsOutputNorms(int layer, int rows) {
    return !cache.windowed(layer)
        && observer.wantsOutputNorms(layer)
        && observer.looks(cache, layer, rows);
  }

  /**
   * Shows the policy what it wants to see of a step in a layer.
   *
   * @param step whose tokens have been appended and not committed
   */
  public void observe(int layer, LayerStep step) {
    if (cache.windowed(layer)) {
      return;
    }
    observeWeights(layer, step);
    if (observer.looks(cache, layer, step.rows())) {
      frames[layer] = step.frame();
      if (memory == null && observer.memory(pool.layout().heads(layer)) > 0) {
        memory = new PolicyMemory(pool);
      }
      step.forEach(
          heads[layer].length,
          h -> {
            CachedHead head = cache.head(layer, h);
            observer.observe(head, step);
            head.remember();
          });
    }
  }

  /** Heads are looked at by all workers, some rows at a time, each with memory of its own. */
  private void observeWeights(int layer, LayerStep step) {
    int rows = step.rows();
    int wanted = Math.min(rows, observer.weightRows(layer));
    if (wanted == 0) {
      return;
    }
    int together = Math.min(wanted, ROWS_TOGETHER);
    long rowBytes = (long) Float.BYTES * pool.layout().heads(layer).group() * together;
    int[] tokens = new int[heads[layer].length];
    long[] offsets = new long[tokens.length];
    long bytes = 0;
    for (int h = 0; h < tokens.length; h++) {
      offsets[h] = bytes;
      tokens[h] =
          observer.wantsWeights(cache.head(layer, h), rows) ? heads[layer][h].count() + rows : 0;
      bytes += tokens[h] * rowBytes;
    }
    if (bytes == 0) {
      return;
    }
    MemorySegment memory = weights(bytes);
    step.forEach(
        tokens.length,
        h -> {
          if (tokens[h] > 0) {
            observeWeights(
                layer, h, step, wanted, memory.asSlice(offsets[h], tokens[h] * rowBytes));
          }
        });
  }

  private void observeWeights(
      int layer, int kvHead, LayerStep step, int wanted, MemorySegment memory) {
    CachedHead head = cache.head(layer, kvHead);
    KvSpan[] spans = heads[layer][kvHead].spans(step.rows());
    int tokens = head.count() + step.rows();
    int group = head.heads().group();
    for (int from = step.rows() - wanted; from < step.rows(); from += ROWS_TOGETHER) {
      int to = Math.min(step.rows(), from + ROWS_TOGETHER);
      Matrix out = new Matrix(Formats.F32, (to - from) * group, tokens, memory);
      step.weights(from, to, kvHead, spans, out);
      for (int row = from; row < to; row++) {
        int first = (row - from) * group;
        observer.observe(head, cache.length() + row, out.rows(first, first + group));
      }
    }
    head.remember();
  }

  /** Memory for attention weights, until the step is {@linkplain #stepEnds over}. */
  private MemorySegment weights(long bytes) {
    if (weights != null && weights.segment().byteSize() < bytes) {
      stepEnds();
    }
    if (weights == null) {
      weights = pool.besidePages(bytes);
    }
    return weights.segment();
  }

  /**
   * The most bytes of attention weights at a time, of a sequence that holds so many tokens.
   *
   * @param most tokens of one head
   * @param together tokens of all heads of the layer
   * @param step tokens by which it grows at most
   */
  static long weightBytes(KvLayout layout, int layer, long most, long together, int step) {
    LayerLayout.Heads sizes = layout.heads(layer);
    int rows =
        Math.min(Math.min(step, ROWS_TOGETHER), layout.policy().observer().weightRows(layer));
    return Float.BYTES * (long) rows * sizes.group() * Math.min(sizes.kvHeads() * most, together);
  }

  /** Gives back what was needed during a step. */
  void stepEnds() {
    if (weights != null) {
      weights.close();
      weights = null;
    }
  }

  /** Has those units read that the policy wants for a step, by the mean of its queries. */
  void fetch(SpilledUnits units, int layer, Matrix queries) {
    Retrieval retrieval = pool.layout().policy().retrieval().orElseThrow();
    float[] mean = new float[queries.columns() / heads[layer].length];
    units.fetch(
        layer,
        (head, out) -> {
          Arrays.fill(mean, 0);
          for (int row = 0; row < queries.rows(); row++) {
            long at = queries.rowOffset(row) + (long) head * mean.length * Float.BYTES;
            for (int c = 0; c < mean.length; c++) {
              mean[c] += queries.data().get(ValueLayout.JAVA_FLOAT, at + 4L * c);
            }
          }
          for (int c = 0; c < mean.length; c++) {
            mean[c] /= queries.rows();
          }
          retrieval.score(cache.head(layer, head), mean, out);
        });
  }

  /** See {@link CachedHead#memory}: several threads may ask, each for heads of its own. */
  synchronized MemorySegment memory(int layer, int kvHead) {
    if (memory == null) {
      memory = new PolicyMemory(pool);
    }
    return memory.of(layer, kvHead);
  }

  /** See {@link CachedHead#frame}. */
  QueryFrame frame(int layer) {
    QueryFrame frame = frames[layer];
    if (frame == null) {
      throw new IllegalStateException(
          "The policy has not looked at a step in layer %d yet".formatted(layer));
    }
    return frame;
  }

  /** Forgets what is remembered of tokens, and gives its bytes back. */
  public void forgetNumbers() {
    Arrays.stream(heads).flatMap(Arrays::stream).forEach(head -> head.forgetNumbers(0));
  }

  /** Forgets what is remembered of heads as wholes, and gives its bytes back. */
  public void forgetMemory() {
    if (memory != null) {
      memory.close();
      memory = null;
    }
  }
}
