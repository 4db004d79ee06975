package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The keys and values of one sequence, in pages.
 *
 * <p>A step first {@linkplain #reserve reserves} room, then {@linkplain #append appends} each
 * layer's rows and attends over its {@linkplain #pieces pieces}, and at the end {@linkplain #commit
 * commits}. A step that fails before that has changed nothing: its rows are overwritten by the
 * next.
 *
 * <p>{@link #fork} makes a second sequence with the same beginning; pages are shared and copied
 * only when one of the two writes into them. A cache is used by one thread at a time; caches that
 * share pages may be used by several.
 */
public final class KvCache implements AutoCloseable {
  private final KvPool pool;

  /** By layer and KV head. */
  private final HeadCache[][] heads;

  private final SequenceText text;
  private final KvSpill spill;
  private final PolicyView view;
  private final SharedBlocks blocks;
  private boolean closed;

  KvCache(KvPool pool) {
    this.pool = pool;
    this.heads = new HeadCache[pool.layout().layers().size()][];
    for (int l = 0; l < heads.length; l++) {
      int layer = l;
      heads[l] = new HeadCache[pool.layout().heads(l).kvHeads()];
      Arrays.setAll(heads[l], h -> new HeadCache(pool, layer, h));
    }
    this.text = new SequenceText(pool);
    this.spill = new KvSpill(pool);
    this.view = new PolicyView(this, pool, heads);
    this.blocks = new SharedBlocks(pool, text, heads);
  }

  /** Shares the pages of another; what may not fit has been made. */
  private KvCache(KvCache other, @Nullable PolicyMemory memory, KvSpill spill) {
    this.pool = other.pool;
    this.heads = new HeadCache[other.heads.length][];
    for (int l = 0; l < heads.length; l++) {
      HeadCache[] originals = other.heads[l];
      heads[l] = new HeadCache[originals.length];
      Arrays.setAll(heads[l], h -> originals[h].fork());
    }
    this.text = other.text.fork();
    this.spill = spill;
    this.view = other.view.fork(this, heads, memory);
    this.blocks = new SharedBlocks(pool, text, heads);
  }

  public KvLayout layout() {
    return pool.layout();
  }

  /** Tokens of the sequence so far: the position of the next one. */
  public int length() {
    return text.length();
  }

  /** The text of the sequence, as far as it is known. */
  public SequenceText text() {
    return text;
  }

  /** The tokens that are on disk. */
  public KvSpill spill() {
    return spill;
  }

  /** The view that the policy gets of steps. */
  public PolicyView view() {
    return view;
  }

  /** The blocks that may be shared with other sequences. */
  SharedBlocks blocks() {
    checkOpen();
    return blocks;
  }

  /**
   * Makes room for {@code tokens} tokens more in every layer.
   *
   * @throws dev.knapsack.error.BudgetExceededException if the pages do not fit; the cache is as it
   *     was and holds no page more
   */
  public void reserve(int tokens) {
    checkOpen();
    int length = length();
    Math.addExact(length, tokens);
    try {
      each(head -> head.reserve(length, tokens));
    } catch (RuntimeException | Error e) {
      each(HeadCache::trim);
      throw e;
    }
  }

  private void each(Consumer<HeadCache> action) {
    for (HeadCache[] layer : heads) {
      for (HeadCache head : layer) {
        action.accept(head);
      }
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
    LayerLayout.Heads sizes = pool.layout().heads(layer);
    long key = (long) sizes.keySize() * Float.BYTES;
    long value = (long) sizes.valueSize() * Float.BYTES;
    for (int h = 0; h < sizes.kvHeads(); h++) {
      HeadCache head = heads[layer][h];
      for (int r = 0; r < rows; r++) {
        long keyAt = keys.rowOffset(firstRow + r) + h * key;
        long valueAt = values.rowOffset(firstRow + r) + h * value;
        head.write(after + r, keys.data(), keyAt, values.data(), valueAt);
      }
    }
  }

  /**
   * A view of a layer's cached tokens in memory, by KV head, valid until the cache is changed or
   * the pool compacted.
   *
   * @param appended tokens after {@link #length()} that have been appended and not committed
   */
  public KvSpan[][] spans(int layer, int appended) {
    checkOpen();
    KvSpan[][] spans = new KvSpan[heads[layer].length][];
    for (int h = 0; h < spans.length; h++) {
      spans[h] = heads[layer][h].spans(appended);
    }
    return spans;
  }

  /**
   * The tokens of a layer, by KV head, as attention reads them, in pieces: those on disk, each of
   * which is there until the next is asked for, and then {@link #spans}.
   *
   * @throws SpillException when what is on disk cannot be read
   */
  public Iterator<KvSpan[][]> pieces(int layer, int appended) {
    KvSpan[][] resident = spans(layer, appended);
    return windowed(layer)
        ? List.<KvSpan[][]>of(resident).iterator()
        : spill.pieces(layer, resident);
  }

  boolean windowed(int layer) {
    return pool.layout().heads(layer).window() > 0;
  }

  /**
   * Has those units of a layer read that its policy wants for a step and that are not in memory;
   * nothing where all tokens are. To be done before {@link #pieces} are asked for.
   *
   * @param queries of the step, a row each, encoded as cached keys are
   * @throws SpillException when what is on disk cannot be read
   */
  public void fetch(int layer, Matrix queries) {
    checkOpen();
    SpilledUnits units = spill.units();
    if (units != null && !windowed(layer)) {
      view.fetch(units, layer, queries);
    }
  }

  /**
   * Does a task for each of {@code count} numbers, by all {@linkplain KvPool#workers workers}:
   * tasks of different heads, which may read those and change them.
   */
  public void forEach(int count, IntConsumer task) {
    pool.forEach(count, task);
  }

  /** One head, as policies see it. */
  public CachedHead head(int layer, int kvHead) {
    checkOpen();
    return new CachedHead(this, heads[layer][kvHead], layer, kvHead);
  }

  /**
   * Makes tokens that were appended to every layer part of the sequence, the first of the step; the
   * room of others is given back.
   */
  public void commit(int tokens) {
    checkOpen();
    each(head -> {
      head.commit(tokens);
      head.trim();
    });
    view.stepEnds();
    text.length(length() + tokens);
  }

  /**
   * The last position at or before {@code to} that the sequence can go {@linkplain #back back} to.
   * Any is, unless tokens that its next token sees have been evicted, moved to disk by the policy,
   * or {@linkplain #compress freed} behind a sliding window: then it is the beginning.
   */
  public int nearest(int to) {
    if (to < 0) {
      throw new IllegalArgumentException("There is no position %,d".formatted(to));
    }
    int end = Math.min(to, length());
    return reaches(end) ? end : 0;
  }

  private boolean reaches(int tokens) {
    if (tokens == 0 || tokens == length()) {
      return true;
    }
    if (spill.hasUnits()) {
      return false;
    }
    for (int l = 0; l < heads.length; l++) {
      boolean allSpilled = spill.tokens() > 0 && !windowed(l);
      int first = pool.layout().heads(l).firstSeen(tokens);
      if (Arrays.stream(heads[l]).anyMatch(HeadCache::hasGaps)
          || (heads[l].length > 0 && !allSpilled && heads[l][0].start() > first)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Goes back to the {@linkplain #nearest nearest} position: forgets the tokens from there on, and
   * gives their pages back.
   *
   * @return that position
   * @throws SpillException if what is on disk cannot be read; the cache is empty then
   */
  public int back(int to) {
    checkOpen();
    int tokens = nearest(to);
    if (tokens == 0) {
      view.forgetMemory();
    }
    each(head -> head.truncate(tokens));
    try {
      if (tokens < length() && spill.back(tokens, heads)) {
        each(head -> head.truncate(tokens));
      }
    } catch (RuntimeException e) {
      if (tokens > 0) {
        back(0);
      }
      throw e;
    }
    text.length(tokens);
    return tokens;
  }

  /** Encodes tokens that are no longer recent in the layout's formats. */
  public void encode() {
    checkOpen();
    each(HeadCache::encode);
  }

  /**
   * Gives back the pages that no later token sees, those wholly before the sliding window of a
   * layer, lets the policy do its work, and moves to disk what is not to stay in memory.
   *
   * @throws SpillException if tokens cannot be moved to disk; the cache is empty then
   */
  public void compress() {
    checkOpen();
    for (int l = 0; l < heads.length; l++) {
      int first = pool.layout().heads(l).firstSeen(length());
      for (HeadCache head : heads[l]) {
        head.freeBefore(first);
      }
    }
    try {
      layout().policy().compress(this);
    } catch (SpillException e) {
      back(0);
      throw e;
    }
    try {
      spill.takeOldest(heads);
    } catch (RuntimeException e) {
      back(0);
      throw e;
    }
  }

  /**
   * A second sequence with the same tokens so far, which grows on its own.
   *
   * @throws dev.knapsack.error.BudgetExceededException if what it needs beside pages does not fit
   * @throws SpillException if what is on disk cannot be copied
   */
  public KvCache fork() {
    checkOpen();
    PolicyMemory remembered = view.forkMemory();
    try {
      return new KvCache(this, remembered, spill.fork());
    } catch (RuntimeException | Error e) {
      if (remembered != null) {
        remembered.close();
      }
      throw e;
    }
  }

  /**
   * The tokens of a head, in order, in one part a form: for stores.
   *
   * @param head KV head of the layer
   */
  public List<KvPart> parts(int layer, int head) {
    checkOpen();
    int window = pool.layout().heads(layer).window();
    // What a window no longer sees is freed page by page.
    int most = window == 0 ? Integer.MAX_VALUE : window + pool.layout().pageTokens();
    return heads[layer][head].parts(
        most,
        window == 0 && layout().resident() > 0
            ? stored -> new SpilledHead(spill, layer, head, stored)
            : null);
  }

  /**
   * Says how many tokens the sequence has, once a store has put back all {@linkplain #parts parts}
   * of what was empty.
   *
   * @throws IllegalArgumentException if heads that forget nothing have other tokens than these
   */
  public void restored(int tokens) {
    checkOpen();
    if (length() != 0) {
      throw new IllegalStateException("Tokens are put back into an empty cache");
    }
    int missing = -1;
    for (int l = 0; layout().policy().equals(KvPolicy.FULL) && l < heads.length; l++) {
      for (int h = 0; !windowed(l) && h < heads[l].length; h++) {
        int more = tokens - heads[l][h].count();
        if (more < 0 || (missing >= 0 && more != missing)) {
          throw new IllegalArgumentException("Heads have other tokens than the sequence");
        }
        missing = more;
      }
    }
    spill.restored(Math.max(0, missing));
    text.length(tokens);
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
    each(HeadCache::clear);
    view.stepEnds();
    view.forgetMemory();
    spill.close();
  }
}
