package dev.knapsack.cache;

import dev.knapsack.memory.SlabArena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The keys and values of some tokens in one layer, held by one cache or by several that share a
 * beginning. Whoever drops the last reference gives the bytes back.
 */
final class Page {
  private final SlabArena.Slab slab;
  private final AtomicInteger references = new AtomicInteger(1);
  final MemorySegment keys;
  final MemorySegment values;

  Page(SlabArena.Slab slab, long keyBytes) {
    this.slab = slab;
    this.keys = slab.segment().asSlice(0, keyBytes);
    this.values = slab.segment().asSlice(keyBytes);
  }

  boolean shared() {
    return references.get() > 1;
  }

  Page share() {
    references.incrementAndGet();
    return this;
  }

  void release() {
    if (references.decrementAndGet() == 0) {
      slab.close();
    }
  }
}
