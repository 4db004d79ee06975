package dev.knapsack.cache;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.SlabArena;
import java.util.Map;
import java.util.TreeMap;

/**
 * Where the caches of one model get their pages: an arena for each size of page, over one account,
 * shared by all sequences.
 *
 * <p>Safe for use by many threads. Closing it takes the pages of caches that are still open.
 */
public final class KvPool implements AutoCloseable {
  private final KvLayout layout;
  private final Account account;
  private final Map<Long, SlabArena> arenas = new TreeMap<>();

  /** A pool without pages yet. */
  public KvPool(KvLayout layout, Account account) {
    this.layout = layout;
    this.account = account;
    for (int l = 0; l < layout.layers().size(); l++) {
      add(layout.stored(l), account);
      if (layout.recent() > 0) {
        add(layout.full(l), account);
      }
    }
  }

  private void add(KvLayout.Form form, Account account) {
    arenas.computeIfAbsent(
        form.pageBytes(), bytes -> new SlabArena(account, bytes, account.budget().total()));
  }

  public KvLayout layout() {
    return layout;
  }

  /** A new empty cache of one sequence. */
  public KvCache cache() {
    return new KvCache(this);
  }

  SlabArena arena(KvLayout.Form form) {
    SlabArena arena = arenas.get(form.pageBytes());
    if (arena == null) {
      throw new IllegalArgumentException("The layout has no pages of " + form);
    }
    return arena;
  }

  /** Memory for attention weights that a policy wants, for as long as it looks at them. */
  Lease weights(long bytes) {
    return account.lease(bytes);
  }

  /** Bytes of pages leased now. */
  public long leasedBytes() {
    return arenas.values().stream().mapToLong(SlabArena::leasedBytes).sum();
  }

  /**
   * Moves pages together, so that the bytes of all that were freed go back to the account and to
   * the operating system. No cache may be used meanwhile, nor a view of one that was made before.
   */
  public void compact() {
    arenas.values().forEach(SlabArena::compact);
  }

  @Override
  public void close() {
    arenas.values().forEach(SlabArena::close);
  }
}
