package dev.knapsack.cache;

import dev.knapsack.kernel.KvPages;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** One layer's pages of one sequence, in order. */
final class LayerCache {
  private final KvPool pool;
  private final int layer;
  private final int pageTokens;
  private Page[] pages = new Page[4];
  // What kernels read, beside the pages so that a step makes no arrays.
  private MemorySegment[] keys = new MemorySegment[4];
  private MemorySegment[] values = new MemorySegment[4];
  private int count;
  private int freed;

  LayerCache(KvPool pool, int layer) {
    this.pool = pool;
    this.layer = layer;
    this.pageTokens = pool.layout().pageTokens();
  }

  /** The first position still held. */
  int start() {
    return freed * pageTokens;
  }

  /**
   * Makes room for positions {@code [length, length + tokens)} in pages that no other cache reads.
   */
  void reserve(int length, int tokens) {
    int last = length / pageTokens - freed;
    if (last < count && tokens > 0 && pages[last].shared()) {
      Page copy = pool.page(layer);
      copy.keys.copyFrom(pages[last].keys);
      copy.values.copyFrom(pages[last].values);
      pages[last].release();
      set(last, copy);
    }
    int needed = pool.layout().pages(length + tokens) - freed;
    while (count < needed) {
      Page page = pool.page(layer);
      if (count == pages.length) {
        pages = Arrays.copyOf(pages, 2 * count);
        keys = Arrays.copyOf(keys, 2 * count);
        values = Arrays.copyOf(values, 2 * count);
      }
      set(count++, page);
    }
  }

  private void set(int index, Page page) {
    pages[index] = page;
    keys[index] = page.keys;
    values[index] = page.values;
  }

  /** Drops pages that hold nothing before position {@code length}. */
  void truncate(int length) {
    int kept = Math.max(0, pool.layout().pages(length) - freed);
    for (int p = kept; p < count; p++) {
      pages[p].release();
    }
    Arrays.fill(pages, kept, count, null);
    Arrays.fill(keys, kept, count, null);
    Arrays.fill(values, kept, count, null);
    count = kept;
    if (length == 0) {
      freed = 0;
    }
  }

  /** Drops pages that hold nothing at or after position {@code first}. */
  void freeBefore(int first) {
    int drop = Math.min(count, first / pageTokens - freed);
    if (drop <= 0) {
      return;
    }
    for (int p = 0; p < drop; p++) {
      pages[p].release();
    }
    shift(pages, drop);
    shift(keys, drop);
    shift(values, drop);
    count -= drop;
    freed += drop;
  }

  private void shift(Object[] array, int by) {
    System.arraycopy(array, by, array, 0, count - by);
    Arrays.fill(array, count - by, count, null);
  }

  /** The same pages for another cache; those after position {@code length} are not shared. */
  LayerCache fork(int length) {
    LayerCache copy = new LayerCache(pool, layer);
    copy.freed = freed;
    copy.count = Math.min(count, Math.max(0, pool.layout().pages(length) - freed));
    copy.pages = Arrays.copyOf(Arrays.copyOf(pages, copy.count), pages.length);
    copy.keys = Arrays.copyOf(Arrays.copyOf(keys, copy.count), keys.length);
    copy.values = Arrays.copyOf(Arrays.copyOf(values, copy.count), values.length);
    for (int p = 0; p < copy.count; p++) {
      pages[p].share();
    }
    return copy;
  }

  /** A view of positions {@code [start(), length)}. */
  KvPages view(int length) {
    KvLayout layout = pool.layout();
    return new KvPages(
        layout.keyFormat(),
        layout.valueFormat(),
        pageTokens,
        keys,
        values,
        start(),
        length - start());
  }

  MemorySegment keys(int position) {
    return keys[position / pageTokens - freed];
  }

  MemorySegment values(int position) {
    return values[position / pageTokens - freed];
  }
}
