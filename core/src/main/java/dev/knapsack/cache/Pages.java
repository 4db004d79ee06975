package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Pages of one size that one sequence holds, in order, some of them perhaps shared with others. A
 * shared page is copied before it is written.
 */
final class Pages {
  private final SlabArena arena;
  private int[] slabs = {};
  private int count;

  // Where they lie, as long as the arena has not moved any.
  private long[] offsets = {};
  private long offsetsAsOf = -1;

  Pages(SlabArena arena) {
    this.arena = arena;
  }

  /** The first {@code kept} pages, shared with another sequence. */
  Pages fork(int kept) {
    Pages fork = new Pages(arena);
    for (int p = 0; p < kept; p++) {
      fork.share(slabs[p]);
    }
    return fork;
  }

  int count() {
    return count;
  }

  /** The memory in which they lie. */
  MemorySegment memory() {
    return arena.memory();
  }

  /** Holds so many pages at least. */
  void grow(int pages) {
    while (count < pages) {
      add(arena.allocate());
    }
  }

  /** Holds a page more, together with others. */
  void share(int slab) {
    arena.share(slab);
    add(slab);
  }

  private void add(int slab) {
    if (count == slabs.length) {
      slabs = Arrays.copyOf(slabs, Math.max(4, 2 * count));
    }
    slabs[count++] = slab;
    offsetsAsOf = -1;
  }

  /** The number of a page in the arena. */
  int slab(int page) {
    return slabs[page];
  }

  /** Holds a page in place of one that holds the same. */
  void replace(int page, int slab) {
    arena.share(slab);
    arena.release(slabs[page]);
    slabs[page] = slab;
    offsetsAsOf = -1;
  }

  /** Makes a page, which is to be written, this sequence's alone. */
  void own(int page) {
    if (arena.shared(slabs[page])) {
      int copy = arena.allocate();
      MemorySegment memory = arena.memory();
      MemorySegment.copy(
          memory, arena.offset(slabs[page]), memory, arena.offset(copy), arena.slabBytes());
      arena.release(slabs[page]);
      slabs[page] = copy;
      offsetsAsOf = -1;
    }
  }

  /** Finds the pages where they now lie. */
  void locate() {
    long moves = arena.moves();
    if (moves == offsetsAsOf) {
      return;
    }
    // A new array: views that were given away keep theirs.
    offsets = new long[slabs.length];
    for (int p = 0; p < count; p++) {
      offsets[p] = arena.offset(slabs[p]);
    }
    offsetsAsOf = moves;
  }

  /** The beginning of each page in {@link #memory}, as far as it has been {@link #locate}d. */
  long[] offsets() {
    return offsets;
  }

  /** Gives back all pages but the first few. */
  void trim(int kept) {
    while (count > kept) {
      arena.release(slabs[--count]);
    }
  }

  /** Gives back the first {@code n} pages. */
  void drop(int n) {
    for (int p = 0; p < n; p++) {
      arena.release(slabs[p]);
    }
    System.arraycopy(slabs, n, slabs, 0, count - n);
    count -= n;
    offsetsAsOf = -1;
  }

  /** Copies the first {@code n} pages as they are. */
  void copyOut(int n, MemorySegment into, long at) {
    locate();
    long bytes = arena.slabBytes();
    for (int p = 0; p < n; p++) {
      MemorySegment.copy(arena.memory(), offsets[p], into, at + p * bytes, bytes);
    }
  }

  /** Fills the first {@code n} pages with what {@link #copyOut} copied. */
  void copyIn(int n, MemorySegment from, long at) {
    locate();
    long bytes = arena.slabBytes();
    for (int p = 0; p < n; p++) {
      MemorySegment.copy(from, at + p * bytes, arena.memory(), offsets[p], bytes);
    }
  }
}
