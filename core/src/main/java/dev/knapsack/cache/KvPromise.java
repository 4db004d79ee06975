package dev.knapsack.cache;

import dev.knapsack.memory.Lease;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The bytes of all pages that a sequence will need, taken before it needs them.
 *
 * <p>Pages are allocated out of it. Blocks that the sequence shares through a {@link PrefixTree}
 * are paid for by the tree, and not in here. To be closed when the cache that it is for grows no
 * more.
 */
public final class KvPromise implements AutoCloseable {
  private final KvPool pool;
  private final int tokens;
  private final int step;
  private final Lease besidePages;

  /** The part of the sequence that is not paid for in here. */
  private KvShare shared;

  private boolean closed;

  KvPromise(KvPool pool, Lease besidePages, int tokens, int step, KvShare shared) {
    this.pool = pool;
    this.besidePages = besidePages;
    this.tokens = tokens;
    this.step = step;
    this.shared = shared;
  }

  /** Bytes of the pages, and of what the policy needs beside them. */
  public long bytes() {
    return besidePages.bytes() + SlabArena.bytes(slabs(shared));
  }

  /** The pages that are paid for in here. */
  SortedMap<Long, Long> slabs() {
    return slabs(shared);
  }

  long besidePages() {
    return besidePages.bytes();
  }

  private SortedMap<Long, Long> slabs(KvShare share) {
    return pool.layout().slabs(tokens, step, share);
  }

  /** The pages that a sequence needs less with {@code more} blocks shared than with {@code few}. */
  private SortedMap<Long, Long> saved(int few, int more) {
    SortedMap<Long, Long> after = slabs(shared.withBlocks(more));
    SortedMap<Long, Long> saved = new TreeMap<>();
    slabs(shared.withBlocks(few))
        .forEach((size, n) -> {
          long fewer = n - after.getOrDefault(size, 0L);
          if (fewer > 0) {
            saved.put(size, fewer);
          }
        });
    return saved;
  }

  /** Gives back what more blocks cost: the sequence has them from a tree now, which pays. */
  void share(int blocks) {
    if (blocks > shared.blocks()) {
      SortedMap<Long, Long> saved = saved(shared.blocks(), blocks);
      shared = shared.withBlocks(blocks);
      pool.pages().unreserve(saved);
    }
  }

  /**
   * Takes what blocks cost beyond so many, which the sequence is to have for itself again.
   *
   * @return whether there was room for it; if not, nothing has changed
   */
  boolean own(int blocks) {
    if (!pool.pages().tryReserve(saved(blocks, shared.blocks()))) {
      return false;
    }
    shared = shared.withBlocks(blocks);
    return true;
  }

  /**
   * Leaves what one more block costs, in layers without a sliding window, to the caller.
   *
   * @return whether that is all that such a block costs; if not, nothing has changed
   */
  boolean handOver() {
    int blocks = shared.blocks();
    if (!saved(blocks, blocks + 1).equals(pool.layout().blockSlabs(false))) {
      return false;
    }
    shared = shared.withBlocks(blocks + 1);
    return true;
  }

  @Override
  public void close() {
    if (closed) {
      throw new IllegalStateException("KV promise closed twice");
    }
    closed = true;
    pool.pages().unreserve(slabs(shared));
    pool.giveBack(besidePages, tokens);
  }
}
