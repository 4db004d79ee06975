package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The keys and values of one sequence, in pages.
 *
 * <p>A step first {@linkplain #reserve reserves} room, then {@linkplain #append appends} each
 * layer's rows and attends over its {@linkplain #spans spans}, and at the end {@linkplain #commit
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

  /** The oldest tokens, if some are on disk. */
  private @Nullable SpilledTokens spilled;

  /** Tokens that the policy has moved to disk, if there are any. */
  private @Nullable SpilledUnits units;

  /** What the policy sees of the sequence. */
  private final PolicyView view;

  private int length;
  private int promptEnd;

  private int stepEnd;

  /** Tokens of the rows that are only looked at; none if they repeat the text. */
  private int[] patch = {};

  private boolean closed;

  KvCache(KvPool pool) {
    this.pool = pool;
    this.heads = new HeadCache[pool.layout().layers().size()][];
    for (int l = 0; l < heads.length; l++) {
      int layer = l;
      heads[l] = new HeadCache[pool.layout().heads(l).kvHeads()];
      Arrays.setAll(heads[l], h -> new HeadCache(pool, layer, h));
    }
    this.view = new PolicyView(this, pool, heads);
  }

  /** Shares the pages of another; what may not fit has been made. */
  private KvCache(
      KvCache other,
      @Nullable PolicyMemory memory,
      @Nullable SpilledTokens spilled,
      @Nullable SpilledUnits units) {
    this.spilled = spilled;
    this.units = units;
    this.pool = other.pool;
    this.length = other.length;
    this.promptEnd = other.promptEnd;
    this.patch = other.patch;
    this.heads = new HeadCache[other.heads.length][];
    for (int l = 0; l < heads.length; l++) {
      HeadCache[] originals = other.heads[l];
      heads[l] = new HeadCache[originals.length];
      Arrays.setAll(heads[l], h -> originals[h].fork());
    }
    this.view = other.view.fork(this, heads, memory);
  }

  public KvLayout layout() {
    return pool.layout();
  }

  /** Tokens of the sequence so far: the position of the next one. */
  public int length() {
    return length;
  }

  /**
   * Says that tokens up to {@code end} are a prompt, and what comes after them an answer: for
   * policies that tell the two apart. Said before the prompt's first step.
   */
  public void prompt(int end) {
    promptEnd = end;
  }

  /** Where the prompt ends that is being read, or was read last; 0 unless that was said. */
  public int promptEnd() {
    return promptEnd;
  }

  /**
   * The most rows that the policy wants to see after a step of the prompt; 0 once the prompt has
   * been read.
   *
   * @param step the most rows of a step, of which they are half at most
   */
  public int lookahead(int step) {
    return length < promptEnd ? rowsAhead(layout().policy().lookahead(), step) : 0;
  }

  /**
   * How many it wants to see after the next step.
   *
   * @param step the most rows of a step
   * @param tokens that this one adds
   */
  public int lookahead(int step, int tokens) {
    return length < promptEnd ? rowsAhead(layout().policy().lookahead(this, tokens), step) : 0;
  }

  private int rowsAhead(int wanted, int step) {
    return Math.min(patch.length == 0 ? wanted : Math.min(wanted, patch.length), step / 2);
  }

  /**
   * Says which tokens the rows are that are only looked at: the last ones of a text that queries to
   * come will be like. Unless that is said, they repeat the last tokens that have been read.
   */
  public void patch(int[] tokens) {
    patch = tokens.clone();
  }

  /** Those tokens; none if that was not said. */
  public int[] patch() {
    return patch.clone();
  }

  /**
   * Where the tokens end that the step under way adds, as {@link #read} was told: rows from there
   * on are only looked at.
   */
  public int stepEnd() {
    return stepEnd;
  }

  /**
   * Says which tokens follow {@link #length()}: those that a step adds, before it computes them.
   *
   * @param tokens ids, of which those in {@code [from, to)} count
   */
  public void read(int[] tokens, int from, int to) {
    stepEnd = length + to - from;
    view.read(tokens, from, to);
  }

  /**
   * The first position from {@code position} on whose token ends a sentence; {@link
   * Integer#MAX_VALUE} if there is none yet, or nobody said what ends one.
   */
  public int sentenceEnd(int position) {
    return view.sentenceEnd(position);
  }

  /**
   * Makes room for {@code tokens} tokens more in every layer.
   *
   * @throws dev.knapsack.error.BudgetExceededException if the pages do not fit; the cache is as it
   *     was and holds no page more
   */
  public void reserve(int tokens) {
    checkOpen();
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
   * What attention reads of a layer, by KV head, in pieces: those on disk, each of which is there
   * until the next is asked for, and then {@link #spans}.
   *
   * @throws SpillException when what is on disk cannot be read
   */
  public Iterator<KvSpan[][]> pieces(int layer, int appended) {
    KvSpan[][] resident = spans(layer, appended);
    if (units != null && !windowed(layer)) {
      return List.<KvSpan[][]>of(units.spans(layer, resident)).iterator();
    }
    return spilled == null || windowed(layer) || spilled.tokens() == 0
        ? List.<KvSpan[][]>of(resident).iterator()
        : spilled.pieces(layer, resident);
  }

  boolean windowed(int layer) {
    return pool.layout().heads(layer).window() > 0;
  }

  /** What is on disk, or is to go there. */
  SpilledTokens spilled() {
    if (spilled == null) {
      spilled = new SpilledTokens(pool);
    }
    return spilled;
  }

  /** What the policy has moved to disk; null as long as it has not. */
  @Nullable SpilledUnits units() {
    return units;
  }

  /**
   * Writes units of a head to disk.
   *
   * @param first the place of the first token of {@code pages}
   */
  void spill(int layer, int kvHead, HeadPages pages, int first, int[][] places, int room) {
    if (layout().policy().retrieval().isEmpty()) {
      throw new IllegalStateException(
          "The recipe '%s' does not say how it has tokens read again".formatted(layout().policy()));
    }
    if (units == null) {
      units = new SpilledUnits(pool);
    }
    int[][] stored = new int[places.length][];
    Arrays.setAll(stored, u -> Arrays.stream(places[u]).map(place -> place - first).toArray());
    units.write(layer, kvHead, pages, stored, room);
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
    if (units != null && !windowed(layer)) {
      view.fetch(units, layer, queries);
    }
  }

  /** Bytes of pages that hold what the policy has had read again. */
  public long fetchedBytes() {
    return units == null ? 0 : units.fetchedBytes();
  }

  /** Tokens that are on disk, in layers without a sliding window. */
  public int spilledTokens() {
    return spilled == null ? 0 : spilled.tokens();
  }

  /** Whether the policy wants {@link LayerStep#retention} of a step of so many rows. */
  public boolean wantsRetention(int layer, int rows) {
    return view.wantsRetention(layer, rows);
  }

  /** Whether the policy wants {@link LayerStep#outputNorm} of a step of so many rows. */
  public boolean wantsOutputNorms(int layer, int rows) {
    return view.wantsOutputNorms(layer, rows);
  }

  /**
   * Shows the policy what it wants to see of a step in a layer.
   *
   * @param step whose tokens have been appended and not committed
   */
  public void observe(int layer, LayerStep step) {
    checkOpen();
    view.observe(layer, step);
  }

  /** What the policy sees of the sequence. */
  PolicyView view() {
    return view;
  }

  /** Forgets what the policy remembers of tokens, and gives its bytes back. */
  public void forgetNumbers() {
    each(head -> head.forgetNumbers(0));
  }

  /** Forgets what the policy remembers of heads as wholes, and gives its bytes back. */
  public void forgetMemory() {
    view.forgetMemory();
  }

  /**
   * Does a task for each of {@code count} numbers, by all {@linkplain KvPool#workers workers}:
   * tasks of different heads, which may read those and change them.
   */
  public void forEach(int count, IntConsumer task) {
    pool.forEach(count, task);
  }

  /** What a policy sees of one head. */
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
    length += tokens;
  }

  /**
   * The last position at or before {@code to} that the sequence can go {@linkplain #back back} to.
   * Any is, unless tokens that its next token sees have been evicted, moved to disk by the policy,
   * or {@linkplain #settle freed} behind a sliding window: then it is the beginning.
   */
  public int nearest(int to) {
    if (to < 0) {
      throw new IllegalArgumentException("There is no position %,d".formatted(to));
    }
    int end = Math.min(to, length);
    return reaches(end) ? end : 0;
  }

  /**
   * Goes back to the {@linkplain #nearest nearest} position: forgets the tokens from there on, and
   * gives their pages back.
   *
   * @return that position
   */
  public int back(int to) {
    checkOpen();
    int tokens = nearest(to);
    if (tokens == 0) {
      forgetMemory();
    }
    each(head -> head.truncate(tokens));
    if (units != null && tokens < length) {
      units.close();
      units = null;
    }
    if (spilled != null && tokens < spilled.tokens()) {
      int block = layout().diskBlock();
      spilled.truncate(Math.ceilDiv(tokens, block));
      if (tokens % block != 0) {
        spilled.takeBack(heads);
        each(head -> head.truncate(tokens));
      }
    }
    length = tokens;
    return tokens;
  }

  /** To be done after each step: {@link #encode}, and then {@link #compress}. */
  public void settle() {
    encode();
    compress();
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
      int first = firstSeen(l, length);
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
    spill();
  }

  /** Moves the oldest tokens to disk, as long as enough of them stay in memory. */
  private void spill() {
    int resident = layout().resident();
    for (int l = 0; resident > 0 && l < heads.length; l++) {
      if (layout().heads(l).seeAll()) {
        while (heads[l][0].storedCount() >= (long) resident + layout().diskBlock()) {
          try {
            spilled().add(heads);
          } catch (RuntimeException e) {
            back(0);
            throw e;
          }
        }
        return;
      }
    }
  }

  /**
   * The pages that hold a block of as many tokens as a page has, in the layout's formats, by layer
   * and head; -1 where none holds all of it.
   */
  int[] block(int block) {
    int[] slabs = new int[pool.blockPages()];
    int i = 0;
    for (HeadCache[] layer : heads) {
      for (HeadCache head : layer) {
        slabs[i++] = head.page(block);
      }
    }
    return slabs;
  }

  /** Holds pages that hold the same block in place of its own, where both are held. */
  void replace(int block, int[] slabs) {
    int i = 0;
    for (HeadCache[] layer : heads) {
      for (HeadCache head : layer) {
        if (slabs[i] >= 0 && head.page(block) >= 0) {
          head.replace(block, slabs[i]);
        }
        i++;
      }
    }
  }

  /**
   * Makes blocks that others hold the beginning of this sequence, and forgets what came after.
   *
   * @param held blocks that are held already; what else is held is forgotten
   * @param to blocks that are held then
   * @param blocks the pages of each; layers with a sliding window need those that the token after
   *     them sees
   */
  void adopt(int held, int to, IntFunction<int[]> blocks) {
    checkOpen();
    int page = pool.layout().pageTokens();
    int i = 0;
    for (int l = 0; l < heads.length; l++) {
      boolean window = pool.layout().heads(l).window() > 0;
      int from = window ? firstSeen(l, to * page) / page : held;
      for (HeadCache head : heads[l]) {
        head.truncate(window ? 0 : held * page);
        for (int b = from; b < to; b++) {
          head.adopt(blocks.apply(b)[i], b * page);
        }
        i++;
      }
    }
    length = to * page;
  }

  private boolean reaches(int tokens) {
    if (tokens == 0 || tokens == length) {
      return true;
    }
    if (units != null && !units.isEmpty()) {
      return false;
    }
    for (int l = 0; l < heads.length; l++) {
      boolean allSpilled = spilledTokens() > 0 && !windowed(l);
      int first = firstSeen(l, tokens);
      if (Arrays.stream(heads[l]).anyMatch(HeadCache::hasGaps)
          || (heads[l].length > 0 && !allSpilled && heads[l][0].start() > first)) {
        return false;
      }
    }
    return true;
  }

  /** The first position that the token at {@code position} sees in a layer. */
  private int firstSeen(int layer, int position) {
    int window = pool.layout().heads(layer).window();
    return window == 0 ? 0 : Math.max(0, position - window + 1);
  }

  /**
   * A second sequence with the same tokens so far, which grows on its own.
   *
   * @throws dev.knapsack.error.BudgetExceededException if what it needs beside pages does not fit
   * @throws SpillException if what is on disk cannot be copied
   */
  public KvCache fork() {
    checkOpen();
    PolicyMemory remembered = null;
    SpilledTokens onDisk = null;
    try {
      remembered = view.forkMemory();
      onDisk = spilled == null ? null : spilled.fork();
      return new KvCache(this, remembered, onDisk, units == null ? null : units.fork());
    } catch (RuntimeException | Error e) {
      if (remembered != null) {
        remembered.close();
      }
      if (onDisk != null) {
        onDisk.close();
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
            ? pages -> new SpilledHead(this, layer, head, pages)
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
    if (length != 0) {
      throw new IllegalStateException("Tokens are put back into an empty cache");
    }
    int block = layout().diskBlock();
    int missing = -1;
    for (int l = 0; layout().policy().equals(KvPolicy.FULL) && l < heads.length; l++) {
      for (int h = 0; !windowed(l) && h < heads[l].length; h++) {
        int more = tokens - heads[l][h].count();
        missing = missing < 0 ? more : missing;
        if (more < 0 || more != missing || more % block != 0 || (more > 0 && spilled == null)) {
          throw new IllegalArgumentException("Heads have other tokens than the sequence");
        }
      }
    }
    if (spilled != null) {
      spilled.restored(missing / block);
    }
    length = tokens;
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
    forgetMemory();
    if (spilled != null) {
      spilled.close();
    }
    if (units != null) {
      units.close();
    }
  }
}
