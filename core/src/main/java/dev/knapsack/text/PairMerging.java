package dev.knapsack.text;

import java.util.Arrays;

/**
 * Merges neighbouring symbols, best pair first, until no pair merges: the loop that byte pair
 * encoding and SentencePiece share.
 *
 * <p>A priority queue of pairs makes this O(n log n) for n symbols, also when all of a megabyte is
 * one word. Of pairs with equal priority the leftmost merges first. An instance is scratch space of
 * one call of encode.
 */
final class PairMerging {
  /** The priority of a pair that does not merge. */
  static final int NEVER = Integer.MAX_VALUE;

  /** The pairs of symbols that merge, for symbols that are known by their index. */
  interface Symbols {
    /** The rank in which two neighbours merge: less is sooner. */
    int priority(int left, int right);

    /** Makes {@code left} stand for both. */
    void merge(int left, int right);
  }

  private int[] previous = new int[32];
  private int[] next = new int[32];

  /** Of the pair that begins at a symbol; a queue entry that says otherwise is out of date. */
  private int[] priorities = new int[32];

  /** A binary heap of (priority, left symbol). */
  private long[] heap = new long[64];

  private int heapSize;

  /** Merges symbols 0 to {@code count}; the survivors are then found with {@link #after}. */
  void run(int count, Symbols symbols) {
    if (previous.length < count) {
      int capacity = Math.max(count, Math.min(previous.length * 2, 1 << 16));
      previous = new int[capacity];
      next = new int[capacity];
      priorities = new int[capacity];
    }
    heapSize = 0;
    for (int i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1 < count ? i + 1 : -1;
    }
    for (int i = 0; i < count; i++) {
      offer(i, next[i], symbols);
    }
    while (heapSize > 0) {
      long best = poll();
      int left = (int) best;
      if (priorities[left] != (int) (best >> 32)) {
        continue;
      }
      int right = next[left];
      symbols.merge(left, right);
      priorities[right] = NEVER;
      next[left] = next[right];
      if (next[left] >= 0) {
        previous[next[left]] = left;
      }
      offer(previous[left], left, symbols);
      offer(left, next[left], symbols);
    }
  }

  /** The symbol that follows a surviving one (the first is symbol 0), or -1. */
  int after(int symbol) {
    return next[symbol];
  }

  private void offer(int left, int right, Symbols symbols) {
    if (left < 0) {
      return;
    }
    int priority = right < 0 ? NEVER : symbols.priority(left, right);
    priorities[left] = priority;
    if (priority == NEVER) {
      return;
    }
    if (heapSize == heap.length) {
      heap = Arrays.copyOf(heap, heapSize * 2);
    }
    long entry = ((long) priority << 32) | left;
    int at = heapSize++;
    while (at > 0) {
      int parent = (at - 1) >> 1;
      if (heap[parent] <= entry) {
        break;
      }
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  private long poll() {
    long top = heap[0];
    long last = heap[--heapSize];
    int at = 0;
    while (true) {
      int child = 2 * at + 1;
      if (child >= heapSize) {
        break;
      }
      if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[child] >= last) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
