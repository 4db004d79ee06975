package dev.knapsack.cache;

import dev.knapsack.memory.Lease;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The bytes of all pages that a sequence will need, taken before it needs them.
 *
 * <p>Pages are allocated out of it. Blocks that the sequence shares through a {@link PrefixTree}
 * are paid for by the tree, and not in here. To be closed after the cache that it is for.
 */
public final class KvPromise implements AutoCloseable {
  private final KvPool pool;
  private final int tokens;
  private final int step;
  private final Lease besidePages;

  /** Blocks of the sequence's beginning that are not paid for in here. */
  private int shared;

  private boolean closed;

  KvPromise(KvPool pool, Lease besidePages, int tokens, int step, int shared) {
    this.pool = pool;
    this.besidePages = besidePages;
    this.tokens = tokens;
    this.step = step;
    this.shared = shared;
  }

  /** Bytes of the pages, and of what the policy needs beside them. */
  public long bytes() {
    return besidePages.bytes()
        + slabs(shared).entrySet().stream()
            .mapToLong(e -> SlabArena.bytes(e.getKey(), e.getValue()))
            .sum();
  }

  /** The pages that are paid for in here. */
  SortedMap<Long, Long> slabs() {
    return slabs(shared);
  }

  long besidePages() {
    return besidePages.bytes();
  }

  private SortedMap<Long, Long> slabs(int blocks) {
    return pool.layout().slabs(tokens, step, blocks);
  }

  /** The pages of which {@code blocks} blocks need fewer than those shared now. */
  private SortedMap<Long, Long> saved(int blocks) {
    SortedMap<Long, Long> after = slabs(blocks);
    SortedMap<Long, Long> saved = new TreeMap<>();
    slabs(shared)
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
    if (blocks > shared) {
      SortedMap<Long, Long> saved = saved(blocks);
      shared = blocks;
      pool.pages().unreserve(saved);
    }
  }

  /**
   * Leaves what one more block costs, in layers without a sliding window, to the caller.
   *
   * @return whether that is all that such a block costs; if not, nothing has changed
   */
  boolean handOver() {
    if (!saved(shared + 1).equals(pool.layout().blockSlabs(false))) {
      return false;
    }
    shared++;
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
