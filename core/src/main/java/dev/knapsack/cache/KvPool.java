package dev.knapsack.cache;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.SlabArena;
import java.util.ArrayList;
import java.util.List;

/**
 * Where the caches of one model get their pages: arenas over one account, shared by all sequences.
 *
 * <p>Safe for use by many threads. Closing it takes the pages of caches that are still open.
 */
public final class KvPool implements AutoCloseable {
  private final KvLayout layout;
  private final List<SlabArena> arenas = new ArrayList<>();
  private final SlabArena[] arenaOfLayer;

  /** A pool without pages yet. */
  public KvPool(KvLayout layout, Account account) {
    this.layout = layout;
    this.arenaOfLayer = new SlabArena[layout.layers().size()];
    for (KvLayout.Group group : layout.groups()) {
      SlabArena arena = new SlabArena(account, group.pageBytes(), group.layers());
      arenas.add(arena);
      for (int l = 0; l < arenaOfLayer.length; l++) {
        if (layout.pageBytes(l) == group.pageBytes()
            && layout.layers().get(l).window() == group.window()) {
          arenaOfLayer[l] = arena;
        }
      }
    }
  }

  public KvLayout layout() {
    return layout;
  }

  /** A new empty cache of one sequence. */
  public KvCache cache() {
    return new KvCache(this);
  }

  Page page(int layer) {
    return new Page(arenaOfLayer[layer].allocate(), layout.pageKeyBytes(layer));
  }

  /** Bytes leased now. */
  public long leasedBytes() {
    return arenas.stream().mapToLong(SlabArena::leasedBytes).sum();
  }

  @Override
  public void close() {
    arenas.forEach(SlabArena::close);
  }
}
