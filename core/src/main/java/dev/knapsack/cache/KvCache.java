package dev.knapsack.cache;

import dev.knapsack.kernel.KvPages;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;

/**
 * The keys and values of one sequence, in pages.
 *
 * <p>A step first {@linkplain #reserve reserves} room, then {@linkplain #append appends} each
 * layer's rows and attends over its {@linkplain #pages pages}, and at the end {@linkplain #commit
 * commits}. A step that fails before that has changed nothing: its rows are overwritten by the
 * next.
 *
 * <p>{@link #fork} makes a second sequence with the same beginning; pages are shared and copied
 * only when one of the two writes into them. A cache is used by one thread at a time; caches that
 * share pages may be used by several.
 */
public final class KvCache implements AutoCloseable {
  private final KvPool pool;
  private final LayerCache[] layers;
  private int length;
  private boolean closed;

  KvCache(KvPool pool) {
    this.pool = pool;
    this.layers = new LayerCache[pool.layout().layers().size()];
    for (int l = 0; l < layers.length; l++) {
      layers[l] = new LayerCache(pool, l);
    }
  }

  private KvCache(KvCache other) {
    this.pool = other.pool;
    this.length = other.length;
    this.layers = new LayerCache[other.layers.length];
    for (int l = 0; l < layers.length; l++) {
      layers[l] = other.layers[l].fork(length);
    }
  }

  public KvLayout layout() {
    return pool.layout();
  }

  /** Tokens of the sequence so far: the position of the next one. */
  public int length() {
    return length;
  }

  /**
   * Makes room for {@code tokens} tokens more in every layer.
   *
   * @throws dev.knapsack.memory.BudgetExceededException if the pages do not fit; the cache is as it
   *     was and holds no page more
   */
  public void reserve(int tokens) {
    checkOpen();
    try {
      Math.addExact(length, tokens);
      for (LayerCache layer : layers) {
        layer.reserve(length, tokens);
      }
    } catch (RuntimeException | Error e) {
      for (LayerCache layer : layers) {
        layer.truncate(length);
      }
      throw e;
    }
  }

  /**
   * Writes a layer's keys and values of tokens that follow {@link #length()}, encoded in the
   * cache's formats; room must have been reserved. Several threads may append different tokens at
   * once.
   *
   * @param after how many tokens after {@link #length()} the first row stands
   * @param keys F32, one row a token: {@code kvHeads · keySize}
   * @param values F32, one row a token: {@code kvHeads · valueSize}
   * @param firstRow first row to take
   * @param rows rows to take
   */
  public void append(int layer, int after, Matrix keys, Matrix values, int firstRow, int rows) {
    checkOpen();
    KvLayout layout = pool.layout();
    KvLayout.Layer heads = layout.layers().get(layer);
    LayerCache cached = layers[layer];
    for (int r = 0; r < rows; r++) {
      int position = length + after + r;
      int slot = position % layout.pageTokens();
      write(
          keys,
          firstRow + r,
          layout.keyFormat(),
          heads.kvHeads(),
          heads.keySize(),
          cached.keys(position),
          slot);
      write(
          values,
          firstRow + r,
          layout.valueFormat(),
          heads.kvHeads(),
          heads.valueSize(),
          cached.values(position),
          slot);
    }
  }

  private void write(
      Matrix from, int row, Format format, int heads, int size, MemorySegment page, int slot) {
    long source = from.rowOffset(row);
    long bytes = format.bytes(size);
    int pageTokens = pool.layout().pageTokens();
    for (int h = 0; h < heads; h++) {
      format.encode(
          from.data(), source + 4L * h * size, page, ((long) h * pageTokens + slot) * bytes, size);
    }
  }

  /**
   * A view of a layer's cached tokens, valid until the cache is changed.
   *
   * @param appended tokens after {@link #length()} that have been appended and not committed
   */
  public KvPages pages(int layer, int appended) {
    checkOpen();
    return layers[layer].view(length + appended);
  }

  /** Makes the tokens that were appended to every layer part of the sequence. */
  public void commit(int tokens) {
    checkOpen();
    length += tokens;
  }

  /**
   * Forgets the tokens from position {@code tokens} on, and gives their pages back.
   *
   * @throws IllegalArgumentException if the sequence is shorter
   * @throws IllegalStateException if what a sliding window needs there has been {@linkplain
   *     #freeOutsideWindows freed}
   */
  public void truncate(int tokens) {
    checkOpen();
    if (tokens < 0 || tokens > length) {
      throw new IllegalArgumentException(
          "Cannot keep %,d tokens of a sequence of %,d".formatted(tokens, length));
    }
    for (int l = 0; l < layers.length; l++) {
      if (tokens > 0 && layers[l].start() > firstSeen(l, tokens)) {
        throw new IllegalStateException(
            "Cannot go back to %,d tokens: layer %d has freed those before %,d"
                .formatted(tokens, l, layers[l].start()));
      }
    }
    for (LayerCache layer : layers) {
      layer.truncate(tokens);
    }
    length = tokens;
  }

  /**
   * Gives back the pages that no later token sees: those wholly before the sliding window, in
   * layers that have one.
   */
  public void freeOutsideWindows() {
    checkOpen();
    for (int l = 0; l < layers.length; l++) {
      layers[l].freeBefore(firstSeen(l, length));
    }
  }

  /** The first position that the token at {@code position} sees in a layer. */
  private int firstSeen(int layer, int position) {
    int window = pool.layout().layers().get(layer).window();
    return window == 0 ? 0 : Math.max(0, position - window + 1);
  }

  /** A second sequence with the same tokens so far, which grows on its own. */
  public KvCache fork() {
    checkOpen();
    return new KvCache(this);
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("KV cache used after close");
    }
  }

  @Override
  public void close() {
    checkOpen();
    closed = true;
    for (LayerCache layer : layers) {
      layer.truncate(0);
    }
  }
}
