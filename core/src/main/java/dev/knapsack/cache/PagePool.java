package dev.knapsack.cache;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.SpillException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;
import java.util.NavigableMap;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Pages of all sizes over one account: an arena for each size, whatever layouts they are of.
 *
 * <p>Safe for use by many threads.
 */
final class PagePool implements AutoCloseable {
  private final Account account;
  private final long most;
  private final Path folder;

  /** Pays for what sequences need beside pages. */
  private final Account besidePages;

  /** Bytes beside pages that sequences are promised. */
  private final AtomicLong promisedBeside = new AtomicLong();

  private final NavigableMap<Long, SlabArena> arenas = new ConcurrentSkipListMap<>();

  /** Holds tokens that sequences move to disk; null as long as there is no layout that does. */
  private @Nullable SpillFolder spill;

  /**
   * @param most bytes that may be promised
   * @param besidePages what sequences need beside pages is leased from this
   * @param folder where tokens go that layouts do not keep in memory
   */
  PagePool(Account account, long most, Account besidePages, Path folder) {
    this.account = account;
    this.most = Math.max(1, most);
    this.besidePages = besidePages;
    this.folder = folder;
  }

  /** Pages that are all promised before they are needed. */
  static PagePool promised(Account account, long most, Path folder) {
    Account purse = Budget.ofBytes(Math.max(1, most)).account(account.name());
    return new PagePool(account, most, purse, folder);
  }

  Account account() {
    return account;
  }

  /** Pages of so many bytes. */
  SlabArena arena(long slabBytes) {
    return arenas.computeIfAbsent(slabBytes, bytes -> new SlabArena(account, bytes, most));
  }

  /**
   * The folder in which tokens go to disk.
   *
   * @throws SpillException if they cannot be kept there
   */
  synchronized SpillFolder spillFolder() {
    if (spill == null) {
      spill = new SpillFolder(folder);
    }
    return spill;
  }

  synchronized void spillFolder(SpillFolder other) {
    spill = other;
  }

  /** Memory beside pages; where sequences have promises, it is a part of those. */
  Lease besidePages(long bytes) {
    return besidePages.lease(bytes);
  }

  /** Takes bytes beside pages for a promise. */
  Lease reserveBeside(long bytes) {
    Lease beside = account.reserve(bytes);
    promisedBeside.addAndGet(bytes);
    return beside;
  }

  /** Takes them back. */
  void unreserveBeside(Lease beside) {
    promisedBeside.addAndGet(-beside.bytes());
    beside.close();
  }

  /** Says whether such pages, and such bytes beside them, keep within what may be promised. */
  boolean hasRoom(SortedMap<Long, Long> slabs, long beside) {
    return reservedWith(slabs) + beside <= most;
  }

  /** Bytes that the arenas take more with these pages reserved (1), or without them (-1). */
  long change(SortedMap<Long, Long> slabs, int sign) {
    return slabs.entrySet().stream()
        .mapToLong(e -> arena(e.getKey()).change(sign * e.getValue()))
        .sum();
  }

  /**
   * Bytes that the budget would have back, once pages are compacted, without these promises and
   * without these pages of a prefix tree.
   */
  long given(Collection<KvPromise> promises, SortedMap<Long, Long> dropped) {
    SortedMap<Long, Long> slabs = new TreeMap<>(dropped);
    long beside = 0;
    for (KvPromise promise : promises) {
      promise.slabs().forEach((size, n) -> slabs.merge(size, n, Long::sum));
      beside += promise.besidePages();
    }
    return beside - change(slabs, -1);
  }

  /** Bytes that are reserved, with these pages as well. */
  private long reservedWith(SortedMap<Long, Long> slabs) {
    slabs.keySet().forEach(this::arena);
    return promisedBeside.get()
        + arenas.entrySet().stream()
            .mapToLong(e ->
                SlabArena.bytes(
                    e.getKey(), e.getValue().reservedSlabs() + slabs.getOrDefault(e.getKey(), 0L)))
            .sum();
  }

  /**
   * Takes the bytes of these pages.
   *
   * @throws BudgetExceededException if they do not fit
   */
  void reserve(SortedMap<Long, Long> slabs) {
    long reserved = reservedWith(new TreeMap<>());
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
    if (!hasRoom(slabs, 0)) {
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

  /** Bytes of pages leased now: of those that are in use, and of those that are promised. */
  long leasedBytes() {
    return arenas.values().stream().mapToLong(SlabArena::leasedBytes).sum();
  }

  /** Pages in use now, each counted once however many hold it. */
  long livePages() {
    return arenas.values().stream().mapToLong(SlabArena::liveSlabs).sum();
  }

  /** Moves pages together: see {@link KvPool#compact}. */
  void compact() {
    arenas.values().forEach(SlabArena::compact);
  }

  @Override
  public synchronized void close() {
    if (spill != null) {
      spill.close();
    }
    arenas.values().forEach(SlabArena::close);
  }
}
