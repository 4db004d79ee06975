package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.Reduction;
import dev.knapsack.tensor.Format;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Cached tokens of one KV head of one sequence in one form: pages, in order, some of them perhaps
 * shared with other sequences. A shared page is copied before it is written.
 */
final class HeadPages {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  private final SlabArena arena;
  private final KvLayout.Form form;
  private int[] slabs = new int[4];
  private int pages;

  /** Tokens; there may be room for more behind them. */
  private int count;

  /** The position of the first token; the others follow, unless there are gaps. */
  private int start;

  /** Whether only pages say where tokens stand. */
  private boolean gaps;

  /** What is held of heads that are always reduced alike; null if there are no such. */
  private final HeadBases.@Nullable Head bases;

  /** What is held of keys and of values; null for all. */
  private @Nullable Reduction keys;

  private @Nullable Reduction values;

  // Where pages lie, as long as the arena has not moved any.
  private long[] offsets = new long[4];
  private long offsetsAsOf = -1;

  HeadPages(KvPool pool, KvLayout.Form form) {
    this(pool, form, null);
  }

  /** Of tokens that are reduced by these bases. */
  HeadPages(KvPool pool, KvLayout.Form form, HeadBases.@Nullable Head bases) {
    this.arena = pool.arena(form);
    this.form = form;
    this.bases = bases;
    reduceByBases();
  }

  private HeadPages(HeadPages other) {
    this.arena = other.arena;
    this.form = other.form;
    this.count = other.count;
    this.start = other.start;
    this.gaps = other.gaps;
    this.bases = other.bases;
    this.keys = other.keys;
    this.values = other.values;
    this.pages = Math.ceilDiv(count, form.pageTokens());
    this.slabs = Arrays.copyOf(other.slabs, other.slabs.length);
    for (int p = 0; p < pages; p++) {
      arena.share(slabs[p]);
    }
  }

  KvLayout.Form form() {
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
    locate();
    return arena.memory().get(INT, positionAt(i));
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

  /** Which channels of a key are held, ascending; null for all, or if it is not channels. */
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
  HeadPages fork() {
    return new HeadPages(this);
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
      own(count / form.pageTokens());
    }
    while (pages * form.pageTokens() < count + tokens) {
      add(arena.allocate());
    }
    locate();
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
      arena.memory().set(INT, positionAt(i), position);
    } else if (gaps) {
      throw new IllegalStateException("These pages have no room for positions with gaps");
    }
  }

  private void add(int slab) {
    if (pages == slabs.length) {
      slabs = Arrays.copyOf(slabs, 2 * pages);
    }
    slabs[pages++] = slab;
    offsetsAsOf = -1;
  }

  /** Makes a page this sequence's alone. */
  private void own(int page) {
    if (arena.shared(slabs[page])) {
      int copy = arena.allocate();
      MemorySegment.copy(
          arena.memory(),
          arena.offset(slabs[page]),
          arena.memory(),
          arena.offset(copy),
          form.pageBytes());
      arena.release(slabs[page]);
      slabs[page] = copy;
      offsetsAsOf = -1;
    }
  }

  /** Finds the pages where they now lie. */
  private void locate() {
    long moves = arena.moves();
    if (moves == offsetsAsOf) {
      return;
    }
    // A new array: views that were given away keep theirs.
    offsets = new long[slabs.length];
    for (int p = 0; p < pages; p++) {
      offsets[p] = arena.offset(slabs[p]);
    }
    offsetsAsOf = moves;
  }

  /** Where the key of the token {@code i} lies, as far as its page has been located. */
  private long keyAt(int i) {
    return offsets[i / form.pageTokens()] + form.key(i % form.pageTokens());
  }

  /** Where its value lies. */
  private long valueAt(int i) {
    return offsets[i / form.pageTokens()] + form.value(i % form.pageTokens());
  }

  /** Where it says where it stands. */
  private long positionAt(int i) {
    return offsets[i / form.pageTokens()] + form.position(i % form.pageTokens());
  }

  /** Encodes the key and value of the token {@code i}, whose room is reserved. */
  void write(int i, MemorySegment keys, long key, MemorySegment values, long value) {
    form.keyFormat().encode(keys, key, arena.memory(), keyAt(i), form.keySize());
    form.valueFormat().encode(values, value, arena.memory(), valueAt(i), form.valueSize());
  }

  /** Adds the first {@code tokens} tokens of another form, encoded anew. */
  void take(HeadPages other, int tokens) {
    reserve(other.position(0), tokens);
    other.locate();
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
    if ((keys == null && from.keySize() != form.keySize())
        || (values == null && from.valueSize() != form.valueSize())) {
      throw new IllegalStateException("What is held of keys and values has not been said");
    }
    int all = count + places.length;
    try {
      while (pages * form.pageTokens() < all) {
        add(arena.allocate());
      }
    } catch (RuntimeException | Error e) {
      trim();
      throw e;
    }
    float[] key = new float[from.keySize()];
    float[] value = new float[from.valueSize()];
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
        own(to / form.pageTokens());
        locate();
        write(to, key, value);
        position(to, from.position(places[next]));
        next--;
      }
    }
    count = all;
    gaps = true;
  }

  /** Decodes the key and value of the token {@code i}. */
  private void read(int i, MemorySegment key, MemorySegment value) {
    form.keyFormat().decode(arena.memory(), keyAt(i), key, 0, form.keySize());
    form.valueFormat().decode(arena.memory(), valueAt(i), value, 0, form.valueSize());
  }

  /** Decodes the key or the value of the token {@code i}, as far as it is held. */
  void read(int i, boolean key, float[] out) {
    locate();
    Reduction reduction = key ? keys : values;
    float[] held = reduction == null ? out : new float[reduction.held()];
    MemorySegment to = MemorySegment.ofArray(held);
    if (key) {
      form.keyFormat().decode(arena.memory(), keyAt(i), to, 0, form.keySize());
    } else {
      form.valueFormat().decode(arena.memory(), valueAt(i), to, 0, form.valueSize());
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
    locate();
    Format format = key ? form.keyFormat() : form.valueFormat();
    for (int i = from; i < to; ) {
      int tokens = Math.min(to - i, form.pageTokens() - i % form.pageTokens());
      long offset = key ? keyAt(i) : valueAt(i);
      format.decode(arena.memory(), offset, out, at + (i - from) * size, tokens * size);
      i += tokens;
    }
  }

  /** Encodes another key and value for the token {@code i}. */
  void put(int i, float[] key, float[] value) {
    own(i / form.pageTokens());
    locate();
    write(i, key, value);
  }

  /** Encodes what is held of a key and a value. */
  private void write(int i, float[] key, float[] value) {
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
    locate();
    MemorySegment memory = arena.memory();
    long to = at;
    for (int i = from; i < from + tokens; i++) {
      MemorySegment.copy(memory, keyAt(i), into, to, form.keyBytes());
      to += form.keyBytes();
      MemorySegment.copy(memory, valueAt(i), into, to, form.valueBytes());
      to += form.valueBytes();
    }
  }

  /** Adds tokens as {@link #copyOut} gave them; their room is reserved. */
  void copyIn(int tokens, MemorySegment from, long at) {
    locate();
    MemorySegment memory = arena.memory();
    long next = at;
    for (int i = count; i < count + tokens; i++) {
      MemorySegment.copy(from, next, memory, keyAt(i), form.keyBytes());
      next += form.keyBytes();
      MemorySegment.copy(from, next, memory, valueAt(i), form.valueBytes());
      next += form.valueBytes();
    }
    count += tokens;
  }

  /** Copies the first {@code n} pages as they are. */
  void copyPages(int n, MemorySegment into, long at) {
    locate();
    for (int p = 0; p < n; p++) {
      long to = at + p * form.pageBytes();
      MemorySegment.copy(arena.memory(), offsets[p], into, to, form.pageBytes());
    }
  }

  /** Holds pages that {@link #copyPages} copied, where there are none. */
  void takePages(int position, int n, MemorySegment from, long at) {
    reserve(position, n * form.pageTokens());
    for (int p = 0; p < n; p++) {
      MemorySegment.copy(
          from, at + p * form.pageBytes(), arena.memory(), offsets[p], form.pageBytes());
    }
    count = n * form.pageTokens();
  }

  /** Counts tokens that were written. */
  void commit(int tokens) {
    count += tokens;
  }

  /** The page that holds a block of as many tokens as a page has; -1 if none holds all of it. */
  int page(int block) {
    int page = block - start / form.pageTokens();
    boolean held =
        !gaps
            && start % form.pageTokens() == 0
            && page >= 0
            && (page + 1) * form.pageTokens() <= count;
    return held ? slabs[page] : -1;
  }

  /** Holds a page that holds the same in place of its own. */
  void replace(int block, int slab) {
    int page = block - start / form.pageTokens();
    arena.share(slab);
    arena.release(slabs[page]);
    slabs[page] = slab;
    offsetsAsOf = -1;
  }

  /** Adds a full page of tokens whose first stands at {@code position}. */
  void adopt(int slab, int position) {
    trim();
    if (count == 0) {
      start = position;
      gaps = false;
    }
    arena.share(slab);
    add(slab);
    count += form.pageTokens();
  }

  /** Gives back pages behind the last token. */
  void trim() {
    int kept = Math.ceilDiv(count, form.pageTokens());
    while (pages > kept) {
      arena.release(slabs[--pages]);
    }
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
    for (int p = 0; p < n; p++) {
      arena.release(slabs[p]);
    }
    System.arraycopy(slabs, n, slabs, 0, pages - n);
    pages -= n;
    int tokens = n * form.pageTokens();
    start += gaps ? 0 : tokens;
    count -= tokens;
    offsetsAsOf = -1;
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
          own(n / form.pageTokens()); // once a page is enough
          locate();
        }
        copy(i, n);
      }
      n++;
    }
    gaps |= n < count;
    count = n;
    trim();
    locate();
  }

  /** Counts tokens from 0 on, where their positions do not matter. */
  void renumber() {
    start = 0;
    gaps = false;
  }

  private void move(int from, int to) {
    own(to / form.pageTokens());
    locate();
    copy(from, to);
  }

  /** The page of {@code to} is this sequence's alone, and located. */
  private void copy(int from, int to) {
    MemorySegment memory = arena.memory();
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
    locate();
    return new KvSpan(
        form.keyFormat(),
        form.valueFormat(),
        form.pageTokens(),
        arena.memory(),
        offsets,
        form.valuesAt(),
        count + appended,
        start,
        gaps ? form.positionsAt() : KvSpan.NO_GAPS,
        keys,
        values);
  }
}
