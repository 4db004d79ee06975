package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Reduction;
import dev.knapsack.tensor.Format;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Cached tokens of one KV head of one sequence in one form, in the pages that hold them. */
final class HeadTokens {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  private final HeadForm form;
  private final Pages pages;

  /** Tokens; there may be room for more behind them. */
  private int count;

  /** The position of the first token; the others follow, unless there are gaps. */
  private int start;

  /** Says that only pages know where tokens stand. */
  private boolean gaps;

  /** The reduction of heads that are always reduced alike; null if there are no such. */
  private final HeadBases.@Nullable Head bases;

  /** The reduction of keys, and that of values; null where all of them is held. */
  private @Nullable Reduction keys;

  private @Nullable Reduction values;

  HeadTokens(KvPool pool, HeadForm form) {
    this(pool, form, null);
  }

  /** Of tokens that are reduced by these bases. */
  HeadTokens(KvPool pool, HeadForm form, HeadBases.@Nullable Head bases) {
    this.form = form;
    this.pages = new Pages(pool.arena(form));
    this.bases = bases;
    reduceByBases();
  }

  private HeadTokens(HeadTokens other) {
    this.form = other.form;
    this.pages = other.pages.fork(form.pages(other.count));
    this.count = other.count;
    this.start = other.start;
    this.gaps = other.gaps;
    this.bases = other.bases;
    this.keys = other.keys;
    this.values = other.values;
  }

  HeadForm form() {
    return form;
  }

  int count() {
    return count;
  }

  int start() {
    return start;
  }

  /** The position of the token {@code i}. */
  int position(int i) {
    if (!gaps) {
      return start + i;
    }
    pages.locate();
    return pages.memory().get(INT, positionAt(i));
  }

  /** The position of each token; null if each follows the one before. */
  int @Nullable [] positions() {
    if (!gaps) {
      return null;
    }
    int[] positions = new int[count];
    Arrays.setAll(positions, this::position);
    return positions;
  }

  private void reduceByBases() {
    keys = bases == null ? null : bases.keys();
    values = bases == null ? null : bases.values();
  }

  /** The channels of a key that are held, ascending; null for all, or if it is not channels. */
  int @Nullable [] channels() {
    return keys instanceof Reduction.Channels(int[] held) ? held : null;
  }

  /**
   * Says which channels of a key are held from now on, where there are no tokens yet.
   *
   * @param held as many as the form's keys have numbers, ascending
   */
  void channels(int[] held) {
    if (count > 0 || bases != null || held.length != form.keySize()) {
      throw new IllegalStateException(
          "%d channels for %,d keys of %d numbers".formatted(held.length, count, form.keySize()));
    }
    keys = new Reduction.Channels(held);
  }

  /** The same tokens for another sequence. */
  HeadTokens fork() {
    return new HeadTokens(this);
  }

  /**
   * Makes room for {@code tokens} tokens, the first of them at {@code position}, in pages that no
   * other sequence reads.
   */
  void reserve(int position, int tokens) {
    if (count == 0) {
      start = position;
      gaps = false;
    } else if (!gaps && position != start + count) {
      gaps = true;
    }
    if (tokens > 0 && count % form.pageTokens() != 0) {
      own(count);
    }
    pages.grow(form.pages(count + tokens));
    pages.locate();
    for (int i = 0; i < tokens; i++) {
      position(count + i, position + i);
    }
  }

  /** Makes room where there are no tokens, for tokens at these positions; null for no gaps. */
  void reserve(int position, int tokens, int @Nullable [] positions) {
    reserve(position, tokens);
    for (int i = 0; positions != null && i < tokens; i++) {
      gaps |= positions[i] != position + i;
      position(i, positions[i]);
    }
  }

  /** Writes where the token {@code i} stands, if that may not be told from the first's. */
  private void position(int i, int position) {
    if (form.positions()) {
      pages.memory().set(INT, positionAt(i), position);
    } else if (gaps) {
      throw new IllegalStateException("These pages have no room for positions with gaps");
    }
  }

  /** Makes the page of a token, which is to be written, this sequence's alone. */
  private void own(int i) {
    pages.own(i / form.pageTokens());
    pages.locate();
  }

  /** The beginning of the page of the token {@code i}, as far as it has been located. */
  private long pageAt(int i) {
    return pages.offsets()[i / form.pageTokens()];
  }

  /** The place of its key. */
  private long keyAt(int i) {
    return pageAt(i) + form.key(i % form.pageTokens());
  }

  /** The place of its value. */
  private long valueAt(int i) {
    return pageAt(i) + form.value(i % form.pageTokens());
  }

  /** The place of its position. */
  private long positionAt(int i) {
    return pageAt(i) + form.position(i % form.pageTokens());
  }

  /** Encodes the key and value of the token {@code i}, whose room is reserved. */
  void write(int i, MemorySegment keys, long key, MemorySegment values, long value) {
    form.keyFormat().encode(keys, key, pages.memory(), keyAt(i), form.keySize());
    if (!form.inKeys()) {
      form.valueFormat().encode(values, value, pages.memory(), valueAt(i), form.valueSize());
    }
  }

  /** Adds the first {@code tokens} tokens of another form, encoded anew. */
  void take(HeadTokens other, int tokens) {
    reserve(other.position(0), tokens);
    other.pages.locate();
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment key = scratch.allocate(4L * form.keySize(), Float.BYTES);
      MemorySegment value = scratch.allocate(4L * form.valueSize(), Float.BYTES);
      for (int i = 0; i < tokens; i++) {
        other.read(i, key, value);
        write(count + i, key, 0, value, 0);
      }
    }
    gaps |= other.gaps;
    for (int i = 0; i < tokens; i++) {
      position(count + i, other.position(i));
    }
    count += tokens;
  }

  /**
   * Takes in tokens, encoded anew, each at the place where its position belongs.
   *
   * @param places where they are in {@code from}, ascending
   */
  void merge(HeadCache from, int[] places) {
    HeadForm whole = from.stored().form();
    if ((keys == null && whole.keySize() != form.keySize())
        || (values == null && whole.valueSize() != form.valueSize())) {
      throw new IllegalStateException("What is held of keys and values has not been said");
    }
    int all = count + places.length;
    try {
      pages.grow(form.pages(all));
    } catch (RuntimeException | Error e) {
      trim();
      throw e;
    }
    float[] key = new float[whole.keySize()];
    float[] value = new float[whole.valueSize()];
    int old = count - 1;
    int next = places.length - 1;
    // From the end, so that nothing is overwritten before it has moved.
    for (int to = all - 1; to >= 0; to--) {
      if (next < 0 || (old >= 0 && position(old) > from.position(places[next]))) {
        if (to != old) {
          move(old, to);
        }
        old--;
      } else {
        from.read(places[next], true, key);
        from.read(places[next], false, value);
        put(to, key, value);
        position(to, from.position(places[next]));
        next--;
      }
    }
    count = all;
    gaps = true;
  }

  /** Decodes the key and value of the token {@code i}. */
  private void read(int i, MemorySegment key, MemorySegment value) {
    form.keyFormat().decode(pages.memory(), keyAt(i), key, 0, form.keySize());
    form.valueFormat().decode(pages.memory(), valueAt(i), value, 0, form.valueSize());
  }

  /** Decodes the key or the value of the token {@code i}, as far as it is held. */
  void read(int i, boolean key, float[] out) {
    pages.locate();
    Reduction reduction = key ? keys : values;
    float[] held = reduction == null ? out : new float[reduction.held()];
    MemorySegment to = MemorySegment.ofArray(held);
    if (key) {
      form.keyFormat().decode(pages.memory(), keyAt(i), to, 0, form.keySize());
    } else {
      form.valueFormat().decode(pages.memory(), valueAt(i), to, 0, form.valueSize());
    }
    if (reduction != null) {
      reduction.restore(held, out);
    }
  }

  /**
   * Decodes the keys or the values of the tokens of {@code [from, to)}, run by run of those that
   * lie together.
   *
   * @param size numbers from one token to the next
   */
  void read(int from, int to, boolean key, float[] out, int at, int size) {
    if ((key ? keys : values) != null) {
      float[] one = new float[size];
      for (int i = from; i < to; i++) {
        read(i, key, one);
        System.arraycopy(one, 0, out, at + (i - from) * size, size);
      }
      return;
    }
    pages.locate();
    Format format = key ? form.keyFormat() : form.valueFormat();
    boolean close = key || !form.inKeys();
    for (int i = from; i < to; ) {
      int tokens = close ? Math.min(to - i, form.pageTokens() - i % form.pageTokens()) : 1;
      long offset = key ? keyAt(i) : valueAt(i);
      format.decode(pages.memory(), offset, out, at + (i - from) * size, tokens * size);
      i += tokens;
    }
  }

  /** Encodes what is held of another key and value for the token {@code i}. */
  void put(int i, float[] key, float[] value) {
    own(i);
    write(i, held(keys, key), 0, held(values, value), 0);
  }

  private static MemorySegment held(@Nullable Reduction reduction, float[] vector) {
    if (reduction == null) {
      return MemorySegment.ofArray(vector);
    }
    float[] held = new float[reduction.held()];
    reduction.reduce(vector, held);
    return MemorySegment.ofArray(held);
  }

  /** Copies tokens as they are stored: of each its key, then its value. */
  void copyOut(int from, int tokens, MemorySegment into, long at) {
    pages.locate();
    long to = at;
    for (int i = from; i < from + tokens; i++, to += form.tokenBytes()) {
      form.copyOut(pages.memory(), pageAt(i), i % form.pageTokens(), into, to);
    }
  }

  /** Adds tokens as {@link #copyOut} gave them; their room is reserved. */
  void copyIn(int tokens, MemorySegment from, long at) {
    pages.locate();
    long next = at;
    for (int i = count; i < count + tokens; i++, next += form.tokenBytes()) {
      form.copyIn(from, next, pages.memory(), pageAt(i), i % form.pageTokens());
    }
    count += tokens;
  }

  /** Copies the first {@code n} pages as they are, and gives them back. */
  void moveOut(int n, MemorySegment into, long at) {
    pages.copyOut(n, into, at);
    dropPages(n);
  }

  /** Takes pages, as {@link #moveOut} copied them, where there are none. */
  void moveIn(int position, int n, MemorySegment from, long at) {
    reserve(position, n * form.pageTokens());
    pages.copyIn(n, from, at);
    count = n * form.pageTokens();
  }

  /** Counts tokens that were written. */
  void commit(int tokens) {
    count += tokens;
  }

  /** The page that holds a block of as many tokens as a page has; -1 if none holds all of it. */
  int page(int block) {
    int page = pageOf(block);
    boolean held =
        !gaps
            && start % form.pageTokens() == 0
            && page >= 0
            && (page + 1) * form.pageTokens() <= count;
    return held ? pages.slab(page) : -1;
  }

  private int pageOf(int block) {
    return block - start / form.pageTokens();
  }

  /** Holds a page that holds the same in place of its own. */
  void replace(int block, int slab) {
    pages.replace(pageOf(block), slab);
  }

  /** Adds a full page of tokens whose first stands at {@code position}. */
  void adopt(int slab, int position) {
    trim();
    if (count == 0) {
      start = position;
      gaps = false;
    }
    pages.share(slab);
    count += form.pageTokens();
  }

  /** Gives back pages behind the last token. */
  void trim() {
    pages.trim(form.pages(count));
  }

  /** Forgets the tokens from {@code position} on. */
  void truncate(int position) {
    count = view(0).before(position);
    if (count == 0) {
      start = position;
      gaps = false;
      reduceByBases();
    }
    trim();
  }

  /** Forgets all tokens. */
  void clear() {
    count = 0;
    reduceByBases();
    trim();
  }

  /** Forgets the first {@code n} pages. */
  void dropPages(int n) {
    pages.drop(n);
    int tokens = n * form.pageTokens();
    start += gaps ? 0 : tokens;
    count -= tokens;
  }

  /**
   * Keeps these tokens alone, moved together; pages that are left over are given back.
   *
   * @param kept which tokens, by their place here, ascending
   */
  void retain(int[] kept) {
    int n = 0;
    for (int i : kept) {
      if (i != n) {
        if (n % form.pageTokens() == 0 || n == 0 || kept[n - 1] == n - 1) {
          own(n); // once a page is enough
        }
        copy(i, n);
      }
      n++;
    }
    gaps |= n < count;
    count = n;
    trim();
    pages.locate();
  }

  /** Counts tokens from 0 on, where their positions do not matter. */
  void renumber() {
    start = 0;
    gaps = false;
  }

  private void move(int from, int to) {
    own(to);
    copy(from, to);
  }

  /** The page of {@code to} is this sequence's alone, and located. */
  private void copy(int from, int to) {
    MemorySegment memory = pages.memory();
    MemorySegment.copy(memory, keyAt(from), memory, keyAt(to), form.keyBytes());
    MemorySegment.copy(memory, valueAt(from), memory, valueAt(to), form.valueBytes());
    if (form.positions()) {
      memory.set(INT, positionAt(to), memory.get(INT, positionAt(from)));
    }
  }

  /**
   * A view of the tokens, valid until they are changed or the pool is compacted.
   *
   * @param appended tokens that were written and not counted
   */
  KvSpan view(int appended) {
    pages.locate();
    return new KvSpan(
        form.keyFormat(),
        form.valueFormat(),
        form.pageTokens(),
        pages.memory(),
        pages.offsets(),
        form.valuesAt(),
        count + appended,
        start,
        gaps ? form.positionsAt() : KvSpan.NO_GAPS,
        keys,
        values,
        1);
  }
}
