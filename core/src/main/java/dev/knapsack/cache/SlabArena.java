package dev.knapsack.cache;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.NativeMemoryException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.os.NativeMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;

/**
 * Slabs of one size that lie one after the other, and take from the budget what they fill.
 *
 * <p>Whole pages behind the last slab go back to the operating system and to the account at once. A
 * slab is known by a number that stays the same, while its {@linkplain #offset place} may change:
 * {@link #compact} moves the last slabs into the holes that freed ones left. So what is freed is
 * really freed, and however slabs come and go, what remains takes {@link #bytes} of the budget.
 *
 * <p>Who is to be sure of slabs that it will need later {@linkplain #reserve reserves} them: the
 * bytes are taken then, and slabs are allocated out of them.
 *
 * <p>Slabs have counted references, so that several holders may share one. Which slabs are taken is
 * known on the Java heap alone: a write past a slab can spoil a neighbour's numbers but not the
 * bookkeeping. An arena is safe for use by many threads; but while {@link #compact} runs, nobody
 * may read or write slabs.
 */
final class SlabArena implements AutoCloseable {
  private static final long ALIGNMENT = 64;

  private final Account account;

  /** The account's bytes that slabs take. */
  private final Lease charge;

  private final long slabBytes;
  private final long stride;
  private final long capacity;
  private final Arena memory = Arena.ofShared();
  private final MemorySegment region;

  // Guarded by this.
  private int[] places = new int[16];
  private int[] references = new int[16];
  private int[] slabAt = new int[16];

  /** Numbers of slabs that are in use. */
  private final BitSet taken = new BitSet();

  /** Places below {@link #top} that no slab has. */
  private final BitSet holes = new BitSet();

  private int top;
  private long reserved;

  /** Bytes of the {@link #charge} that count here: not those that somebody is asking for. */
  private long charged;

  /** The end of the part that the operating system may have given memory. */
  private long touched;

  private volatile long moves;
  private boolean closed;

  /** Held while the budget is asked, which may ask others, who may free slabs here. */
  private final Object growing = new Object();

  /**
   * An arena without slabs yet.
   *
   * @param slabBytes bytes of a slab; slabs start at multiples of 64 bytes
   * @param capacity the most bytes that slabs will take: address space is kept for them, and on
   *     systems other than Linux, where memory is not given back piece by piece, memory itself
   * @throws NativeMemoryException if the operating system refuses
   */
  SlabArena(Account account, long slabBytes, long capacity) {
    if (slabBytes <= 0 || capacity <= 0) {
      throw new IllegalArgumentException(
          "An arena of account '%s' needs slabs of more than 0 bytes and room for some, not %,d and %,d"
              .formatted(account.name(), slabBytes, capacity));
    }
    this.account = account;
    this.slabBytes = slabBytes;
    this.stride = stride(slabBytes);
    this.capacity = NativeMemory.wholePages(capacity);
    this.region = NativeMemory.reserve(this.capacity, memory);
    this.charge = account.reserve(0);
  }

  /** Bytes from one slab to the next. */
  static long stride(long slabBytes) {
    return Math.addExact(slabBytes, ALIGNMENT - 1) & -ALIGNMENT;
  }

  /** Bytes that {@code slabs} slabs of {@code slabBytes} bytes take from a budget. */
  static long bytes(long slabBytes, long slabs) {
    return NativeMemory.wholePages(Math.multiplyExact(stride(slabBytes), slabs));
  }

  /** The bytes of slabs, by how many bytes each has. */
  static long bytes(Map<Long, Long> slabs) {
    return slabs.entrySet().stream().mapToLong(e -> bytes(e.getKey(), e.getValue())).sum();
  }

  long slabBytes() {
    return slabBytes;
  }

  /** Slabs that are taken now. */
  synchronized int liveSlabs() {
    return taken.cardinality();
  }

  /** Bytes taken from the account now. */
  synchronized long leasedBytes() {
    return charged;
  }

  /** The memory in which all slabs lie. */
  MemorySegment memory() {
    return region;
  }

  /** The beginning of a slab in {@link #memory}, until the next {@link #compact}. */
  synchronized long offset(int slab) {
    checkLive(slab);
    return places[slab] * stride;
  }

  /** The memory of a slab, until the next {@link #compact}. */
  MemorySegment slab(int slab) {
    return region.asSlice(offset(slab), slabBytes);
  }

  /**
   * The number of times that slabs have been moved: while it stays the same, so do their places.
   */
  long moves() {
    return moves;
  }

  /**
   * Takes a slab, with one reference. Its bytes are zero, or what an earlier holder left. As long
   * as no more slabs are live than are {@linkplain #reserve reserved}, it fits.
   *
   * @throws BudgetExceededException if it does not fit
   */
  int allocate() {
    synchronized (growing) {
      while (true) {
        long missing;
        synchronized (this) {
          checkOpen();
          if (!holes.isEmpty()) {
            return takeHole();
          }
          missing = missing(top + 1, reserved);
          if (missing <= 0) {
            checkRoom(top, 1);
            int slab = take(top++);
            touched = Math.max(touched, NativeMemory.wholePages(top * stride));
            trim();
            return slab;
          }
        }
        ask(missing, 1, 0);
      }
    }
  }

  /**
   * Takes bytes for slabs that are yet to be allocated, on top of those reserved before.
   *
   * @throws BudgetExceededException if they do not fit
   */
  void reserve(long slabs) {
    synchronized (growing) {
      while (true) {
        long missing;
        synchronized (this) {
          checkOpen();
          missing = missing(top, reserved + slabs);
          if (missing <= 0) {
            checkRoom(reserved, slabs);
            reserved += slabs;
            trim();
            return;
          }
        }
        ask(missing, 0, slabs);
      }
    }
  }

  /** Does the same if it fits in what is free: nobody is asked to give back. */
  synchronized boolean tryReserve(long slabs) {
    checkOpen();
    long missing = Math.max(0, missing(top, reserved + slabs));
    if ((reserved + slabs) * stride > capacity || !charge.tryGrow(missing)) {
      return false;
    }
    charged += missing;
    reserved += slabs;
    return true;
  }

  /** Gives back a part of what was reserved. */
  synchronized void unreserve(long slabs) {
    checkOpen();
    if (slabs < 0 || slabs > reserved) {
      throw new IllegalStateException(
          "%,d slabs of account '%s' given back, of %,d that are reserved"
              .formatted(slabs, account.name(), reserved));
    }
    reserved -= slabs;
    trim();
  }

  /**
   * Bytes more that this arena takes from its account, once compacted, if so many more slabs are
   * reserved (or fewer, where that is less than 0), and all live slabs are.
   */
  synchronized long change(long slabs) {
    return needed(slabs > 0 ? top : 0, reserved + slabs) - charged;
  }

  /** Slabs that are reserved, allocated or not. */
  synchronized long reservedSlabs() {
    return reserved;
  }

  private long needed(long filled, long promised) {
    return NativeMemory.wholePages(Math.max(filled, promised) * stride);
  }

  private long missing(long filled, long promised) {
    return needed(filled, promised) - charged;
  }

  /**
   * Takes bytes from the budget, without the arena's own lock: under pressure others are asked, who
   * may free slabs here. So what is missing may be less afterwards, or more.
   */
  private void ask(long missing, int slabs, long promised) {
    try {
      charge.grow(missing);
    } catch (BudgetExceededException e) {
      synchronized (this) {
        boolean hole = slabs > 0 && !holes.isEmpty(); // is room for a slab, not for a promise
        if (!closed && (hole || missing(top + slabs, reserved + promised) < missing)) {
          return;
        }
      }
      throw e;
    }
    synchronized (this) {
      checkOpen();
      charged += missing;
    }
  }

  private void checkRoom(long slabs, long more) {
    if ((slabs + more) * stride > capacity) {
      trim();
      throw new BudgetExceededException(
          account.name(), more * stride, capacity - slabs * stride, capacity);
    }
  }

  private int takeHole() {
    int hole = holes.nextSetBit(0);
    holes.clear(hole);
    return take(hole);
  }

  private int take(int place) {
    int slab = taken.nextClearBit(0);
    if (slab == places.length) {
      places = Arrays.copyOf(places, 2 * slab);
      references = Arrays.copyOf(references, 2 * slab);
    }
    if (place >= slabAt.length) {
      slabAt = Arrays.copyOf(slabAt, 2 * slabAt.length);
    }
    taken.set(slab);
    references[slab] = 1;
    places[slab] = place;
    slabAt[place] = slab;
    return slab;
  }

  /** Adds a holder to a slab. */
  synchronized void share(int slab) {
    checkLive(slab);
    references[slab]++;
  }

  /** Says whether a slab has more than one holder. */
  synchronized boolean shared(int slab) {
    checkLive(slab);
    return references[slab] > 1;
  }

  /** Takes a holder away, and with the last one the slab. */
  synchronized void release(int slab) {
    checkLive(slab);
    if (--references[slab] > 0) {
      return;
    }
    taken.clear(slab);
    holes.set(places[slab]);
    trim();
  }

  /** Gives back what lies behind the last slab, but for what is reserved. */
  private void trim() {
    while (top > 0 && holes.get(top - 1)) {
      holes.clear(--top);
    }
    long filled = NativeMemory.wholePages(top * stride);
    if (filled < touched) {
      NativeMemory.giveBack(region.asSlice(filled, touched - filled));
      touched = filled;
    }
    long needed = needed(top, reserved);
    if (needed < charged) {
      charge.shrink(charged - needed);
      charged = needed;
    }
  }

  /** Moves the last slabs into holes; nobody may use slabs meanwhile. */
  synchronized void compact() {
    checkOpen();
    while (!holes.isEmpty()) {
      int hole = holes.nextSetBit(0);
      int slab = slabAt[top - 1];
      MemorySegment.copy(region, places[slab] * stride, region, hole * stride, slabBytes);
      holes.clear(hole);
      holes.set(places[slab]);
      places[slab] = hole;
      slabAt[hole] = slab;
      moves++;
      trim();
    }
  }

  private void checkLive(int slab) {
    checkOpen();
    if (slab < 0 || !taken.get(slab)) {
      throw new IllegalStateException(
          "Slab %d of account '%s' used after its release".formatted(slab, account.name()));
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException(
          "Slab arena of account '" + account.name() + "' used after close");
    }
  }

  /** Gives back everything, taken slabs included: using them throws from now on. */
  @Override
  public void close() {
    synchronized (growing) {
      synchronized (this) {
        checkOpen();
        memory.close(); // first: if memory is in use this throws, and nothing has changed
        closed = true;
        taken.clear();
        charge.close();
        charged = 0;
      }
    }
  }
}
