package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * What a policy remembers of the tokens of one KV head of one sequence: some numbers of each, by
 * its place, in pages of the pool as keys and values are. Nothing is leased for what was never
 * remembered.
 */
final class HeadNumbers {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final SlabArena arena;
  private final int pageTokens;
  private int[] slabs = {};
  private int pages;

  /** How many tokens have something else than 0, of each number. */
  private final int[] known;

  /** For {@link KvLayout#numbers(int)} of a layer, which are some. */
  HeadNumbers(KvPool pool, KvLayout.Form form) {
    this.arena = pool.arena(form);
    this.pageTokens = form.pageTokens();
    this.known = new int[form.keySize()];
  }

  private HeadNumbers(HeadNumbers other) {
    arena = other.arena;
    pageTokens = other.pageTokens;
    known = other.known.clone();
    pages = other.pages;
    slabs = Arrays.copyOf(other.slabs, pages);
    for (int slab : slabs) {
      arena.share(slab);
    }
  }

  HeadNumbers fork() {
    return new HeadNumbers(this);
  }

  /** One number of each of the first {@code tokens} tokens: a copy. */
  float[] get(int which, int tokens) {
    float[] out = new float[tokens];
    int count = Math.min(tokens, known[which]);
    for (int i = 0; i < count; i += pageTokens) {
      int n = Math.min(pageTokens, count - i);
      MemorySegment.copy(arena.memory(), FLOAT, at(which, i / pageTokens), out, i, n);
    }
    return out;
  }

  /**
   * Remembers one number of each of the first tokens.
   *
   * @throws dev.knapsack.error.BudgetExceededException if there is no room for more pages
   */
  void put(int which, float[] numbers) {
    while (pages * pageTokens < numbers.length) {
      int slab = arena.allocate();
      if (pages == slabs.length) {
        slabs = Arrays.copyOf(slabs, Math.max(4, 2 * pages));
      }
      slabs[pages++] = slab;
    }
    for (int i = 0; i < numbers.length; i += pageTokens) {
      int n = Math.min(pageTokens, numbers.length - i);
      own(i / pageTokens);
      MemorySegment.copy(numbers, i, arena.memory(), FLOAT, at(which, i / pageTokens), n);
    }
    known[which] = Math.max(known[which], numbers.length);
  }

  private long at(int which, int page) {
    return arena.offset(slabs[page]) + (long) Float.BYTES * which * pageTokens;
  }

  /** Makes a page this sequence's alone. */
  private void own(int page) {
    if (arena.shared(slabs[page])) {
      int copy = arena.allocate();
      MemorySegment memory = arena.memory();
      MemorySegment.copy(
          memory, arena.offset(slabs[page]), memory, arena.offset(copy), arena.slabBytes());
      arena.release(slabs[page]);
      slabs[page] = copy;
    }
  }

  /** Puts tokens at other places: at each the one that was at the place given for it. */
  void order(int[] places) {
    for (int which = 0; which < known.length; which++) {
      if (known[which] > 0) {
        float[] before = get(which, known[which]);
        float[] after = new float[places.length];
        for (int i = 0; i < after.length; i++) {
          after[i] = places[i] < before.length ? before[places[i]] : 0;
        }
        known[which] = 0;
        put(which, after);
      }
    }
    trim();
  }

  /** Forgets the tokens from a place on. */
  void truncate(int tokens) {
    for (int which = 0; which < known.length; which++) {
      known[which] = Math.min(known[which], tokens);
    }
    trim();
  }

  private void trim() {
    int kept = Math.ceilDiv(Arrays.stream(known).max().orElse(0), pageTokens);
    while (pages > kept) {
      arena.release(slabs[--pages]);
    }
  }
}
