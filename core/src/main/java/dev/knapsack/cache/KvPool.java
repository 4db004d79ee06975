package dev.knapsack.cache;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.SpillException;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.SlabArena;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Where the caches of one model get their pages: an arena for each size of page, over one account,
 * shared by all sequences.
 *
 * <p>Safe for use by many threads. Closing it takes the pages of caches that are still open.
 */
public final class KvPool implements AutoCloseable {
  private final KvLayout layout;
  private final Account account;
  private final long most;

  /** What sequences need beside pages is leased from this. */
  private final Account besidePages;

  /** Bytes beside pages that sequences are promised. */
  private final AtomicLong promisedBeside = new AtomicLong();

  private final SortedMap<Long, SlabArena> arenas = new TreeMap<>();

  /** The arena of each page of a block, by layer and head. */
  private final SlabArena[] blockArenas;

  /** Where sequences of a layout that moves tokens to disk do that. */
  private final @Nullable SpillFolder spill;

  private volatile @Nullable BitSet sentenceEnds;

  /** Who does what policies do to caches; null for who asks for that alone. */
  private volatile @Nullable WorkerTeam workers;

  /** By layer and KV head. */
  private volatile List<List<HeadBases.Head>> bases = List.of();

  /** A pool without pages yet, which may take all of the budget. */
  public KvPool(KvLayout layout, Account account) {
    this(layout, account, Path.of(System.getProperty("java.io.tmpdir")));
  }

  /**
   * A pool without pages yet, which may take all of the budget.
   *
   * @param folder where tokens go that the layout does not keep in memory
   * @throws SpillException if there are such, and they cannot be kept there
   */
  public KvPool(KvLayout layout, Account account, Path folder) {
    this(layout, account, account.budget().total(), account, spill(layout, folder));
  }

  /**
   * A pool without pages yet, whose sequences all have {@linkplain #promise promises}.
   *
   * @param most bytes that may be promised
   * @param folder where tokens go that the layout does not keep in memory
   * @throws SpillException if there are such, and they cannot be kept there
   */
  public KvPool(KvLayout layout, Account account, long most, Path folder) {
    this(
        layout,
        account,
        most,
        Budget.ofBytes(Math.max(1, most)).account(account.name()),
        spill(layout, folder));
  }

  private static @Nullable SpillFolder spill(KvLayout layout, Path folder) {
    return layout.usesDisk() ? new SpillFolder(folder) : null;
  }

  KvPool(
      KvLayout layout,
      Account account,
      long most,
      Account besidePages,
      @Nullable SpillFolder spill) {
    this.besidePages = besidePages;
    this.spill = spill;
    this.layout = layout;
    this.account = account;
    this.most = most;
    this.blockArenas =
        new SlabArena[layout.heads().stream().mapToInt(LayerLayout.Heads::kvHeads).sum()];
    int page = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      if (layout.heads(l).kvHeads() == 0) {
        continue;
      }
      SlabArena arena = add(layout.stored(l));
      for (int h = 0; h < layout.heads(l).kvHeads(); h++) {
        blockArenas[page++] = arena;
      }
      layout.coarse(l).ifPresent(this::add);
      layout.numbers(l).ifPresent(this::add);
      if (layout.retrieves(l)) {
        add(layout.unitKeys(l));
      }
      if (layout.recent() > 0) {
        add(layout.full(l));
      }
    }
  }

  private SlabArena add(KvLayout.Form form) {
    return arenas.computeIfAbsent(
        form.pageBytes(), bytes -> new SlabArena(account, bytes, Math.max(1, most)));
  }

  public KvLayout layout() {
    return layout;
  }

  Account account() {
    return account;
  }

  /** What a sequence remembers that has no tokens yet. */
  public SequenceState sequence() {
    return new SequenceState(this);
  }

  /** A new empty cache of one sequence. */
  public KvCache cache() {
    return new KvCache(this);
  }

  /**
   * Takes the bytes of all pages that a sequence will need, so that it gets them whatever others
   * do.
   *
   * @param tokens tokens that it may have
   * @param step tokens by which it grows at most
   * @param shared blocks of its beginning that it has from a prefix tree, whose pages that tree
   *     pays for
   * @throws BudgetExceededException if they do not fit, after all reclaimers were asked
   * @throws SpillException if the disk has no room for what is to go there
   */
  public KvPromise promise(int tokens, int step, int shared) {
    if (spill != null) {
      spill.promise(layout.diskBytes(tokens));
    }
    @Nullable Lease beside = null;
    try {
      beside = account.reserve(layout.besidePages(tokens, step));
      promisedBeside.addAndGet(beside.bytes());
      reserve(layout.slabs(tokens, step, shared));
      return new KvPromise(this, beside, tokens, step, shared);
    } catch (RuntimeException | Error e) {
      giveBack(beside, tokens);
      throw e;
    }
  }

  /** Takes back what a promise for so many tokens has beside pages. */
  void giveBack(@Nullable Lease beside, int tokens) {
    if (spill != null) {
      spill.giveBack(layout.diskBytes(tokens));
    }
    if (beside != null) {
      promisedBeside.addAndGet(-beside.bytes());
      beside.close();
    }
  }

  /** Whether such a promise would keep within what this pool may have. */
  public boolean hasRoom(int tokens, int step, int shared) {
    return reservedWith(layout.slabs(tokens, step, shared)) + layout.besidePages(tokens, step)
        <= most;
  }

  /**
   * Refuses {@linkplain #promise promises} at once that do not fit even if all reclaimers give back
   * what they can, before any of them does.
   *
   * @param shared blocks of the beginning, of each promise, that it has from a prefix tree
   * @throws BudgetExceededException if memory has no room for them
   * @throws SpillException if the disk has no room for what is to go there
   */
  public void checkRoom(int tokens, int step, List<Integer> shared) {
    long wanted = shared.size() * layout.besidePages(tokens, step);
    SortedMap<Long, Long> slabs = new TreeMap<>();
    for (int blocks : shared) {
      layout.slabs(tokens, step, blocks).forEach((size, n) -> slabs.merge(size, n, Long::sum));
    }
    wanted += change(slabs, 1);
    long available = account.available();
    if (wanted > available) {
      throw new BudgetExceededException(
          account.name(), wanted, available, account.budget().total());
    }
    if (spill != null) {
      spill.checkRoom(shared.size() * layout.diskBytes(tokens));
    }
  }

  /**
   * Bytes that the budget would have back, once this pool is compacted, without these promises and
   * without these pages of a prefix tree.
   */
  public long given(Collection<KvPromise> promises, SortedMap<Long, Long> dropped) {
    SortedMap<Long, Long> slabs = new TreeMap<>(dropped);
    long beside = 0;
    for (KvPromise promise : promises) {
      promise.slabs().forEach((size, n) -> slabs.merge(size, n, Long::sum));
      beside += promise.besidePages();
    }
    return beside - change(slabs, -1);
  }

  /** By how many bytes what the arenas take changes with (1) or without (-1) reserved pages. */
  private long change(SortedMap<Long, Long> slabs, int sign) {
    return slabs.entrySet().stream()
        .mapToLong(e -> arena(e.getKey()).change(sign * e.getValue()))
        .sum();
  }

  /** Bytes that are reserved, with these pages as well. */
  private long reservedWith(Map<Long, Long> slabs) {
    return promisedBeside.get()
        + arenas.entrySet().stream()
            .mapToLong(e -> bytes(e.getKey(), e.getValue(), slabs.getOrDefault(e.getKey(), 0L)))
            .sum();
  }

  private static long bytes(long slabBytes, SlabArena arena, long more) {
    return SlabArena.bytes(slabBytes, arena.reservedSlabs() + more);
  }

  private void reserve(SortedMap<Long, Long> slabs) {
    long reserved = reservedWith(Map.of());
    long wanted = reservedWith(slabs);
    if (wanted > most) {
      throw new BudgetExceededException(account.name(), wanted - reserved, most - reserved, most);
    }
    SortedMap<Long, Long> done = new TreeMap<>();
    try {
      slabs.forEach((size, n) -> {
        arena(size).reserve(n);
        done.put(size, n);
      });
    } catch (RuntimeException | Error e) {
      unreserve(done);
      throw e;
    }
  }

  /** Takes the bytes of these pages if that is possible without asking anyone to give back. */
  boolean tryReserve(SortedMap<Long, Long> slabs) {
    if (reservedWith(slabs) > most) {
      return false;
    }
    SortedMap<Long, Long> done = new TreeMap<>();
    for (Map.Entry<Long, Long> e : slabs.entrySet()) {
      if (!arena(e.getKey()).tryReserve(e.getValue())) {
        unreserve(done);
        return false;
      }
      done.put(e.getKey(), e.getValue());
    }
    return true;
  }

  void unreserve(Map<Long, Long> slabs) {
    slabs.forEach((size, n) -> arena(size).unreserve(n));
  }

  /** Pages of a block of tokens: one for each head of each layer. */
  int blockPages() {
    return blockArenas.length;
  }

  /** Adds a holder to a page of a block. */
  void share(int page, int slab) {
    blockArenas[page].share(slab);
  }

  /** Takes a holder from a page of a block. */
  void release(int page, int slab) {
    blockArenas[page].release(slab);
  }

  SlabArena arena(KvLayout.Form form) {
    return arena(form.pageBytes());
  }

  private SlabArena arena(long slabBytes) {
    SlabArena arena = arenas.get(slabBytes);
    if (arena == null) {
      throw new IllegalArgumentException(
          "The layout has no pages of %,d bytes".formatted(slabBytes));
    }
    return arena;
  }

  /**
   * Memory beside pages: for attention weights that a policy wants, or for what comes back from
   * disk; where sequences have promises, it is a part of those.
   */
  Lease besidePages(long bytes) {
    return besidePages.lease(bytes);
  }

  /** Bytes of pages leased now: of those that are in use, and of those that are promised. */
  public long leasedBytes() {
    return arenas.values().stream().mapToLong(SlabArena::leasedBytes).sum();
  }

  /** Pages in use now, each counted once however many hold it. */
  public long livePages() {
    return arenas.values().stream().mapToLong(SlabArena::liveSlabs).sum();
  }

  /**
   * Moves pages together, so that the bytes of all that were freed go back to the account and to
   * the operating system. No cache may be used meanwhile, nor a view of one that was made before.
   */
  public void compact() {
    arenas.values().forEach(SlabArena::compact);
  }

  /**
   * Says which tokens of the vocabulary end a sentence, for a policy that {@linkplain
   * KvPolicy#wantsSentences asks for that}.
   */
  public void sentenceEnds(@Nullable BitSet tokens) {
    sentenceEnds = tokens;
  }

  /** Those; null if nobody has said so. */
  public @Nullable BitSet sentenceEnds() {
    return sentenceEnds;
  }

  /**
   * Says who shares the work of policies on caches; nothing but time depends on it. What settles a
   * cache is no part of a task of theirs then.
   */
  public void workers(WorkerTeam team) {
    workers = team;
  }

  /** Goes by what has been said to another pool of the same model, before there is a cache. */
  public void likewise(KvPool other) {
    sentenceEnds = other.sentenceEnds;
    workers = other.workers;
    bases = other.bases;
  }

  /** Does a task for each of {@code count} numbers, by those. */
  void forEach(int count, IntConsumer task) {
    WorkerTeam team = workers;
    if (team == null || count < 2) {
      for (int i = 0; i < count; i++) {
        task.accept(i);
      }
    } else {
      team.run(count, (part, parts, worker) -> task.accept(part));
    }
  }

  /**
   * Says how heads are reduced, for a policy that has {@linkplain KvPolicy#bases bases}: before
   * there is a cache.
   *
   * @param heads by layer and KV head; there as long as the pool is
   */
  public void bases(List<List<HeadBases.Head>> heads) {
    bases = heads;
  }

  HeadBases.@Nullable Head bases(int layer, int kvHead) {
    List<List<HeadBases.Head>> all = bases;
    return all.isEmpty() || all.get(layer).isEmpty() ? null : all.get(layer).get(kvHead);
  }

  SpillFolder spillFolder() {
    if (spill == null) {
      throw new IllegalStateException("This layout keeps all tokens in memory");
    }
    return spill;
  }

  @Override
  public void close() {
    if (spill != null) {
      spill.close();
    }
    arenas.values().forEach(SlabArena::close);
  }
}
