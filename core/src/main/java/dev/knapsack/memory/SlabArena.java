package dev.knapsack.memory;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Slabs of one size, carved from larger leases of an account.
 *
 * <p>Which slabs are taken is known on the Java heap alone: there is no header beside the data, so
 * a write past a slab can spoil a neighbour's numbers but not the bookkeeping. Slabs come from the
 * first extent that has room, so that later extents run empty; an extent whose slabs are all free
 * gives its lease back at once. An arena is safe for use by many threads.
 */
public final class SlabArena implements AutoCloseable {
  private static final long ALIGNMENT = 64;

  private final Account account;
  private final long slabBytes;
  private final long stride;
  private final int slabsPerExtent;
  private final List<Extent> extents = new ArrayList<>(); // guarded by this
  private int liveSlabs; // guarded by this
  private boolean closed; // guarded by this

  /** A lease and which of its slabs are taken; guarded by the arena. */
  private static final class Extent {
    final Lease lease;
    final BitSet taken;
    int live;

    Extent(Lease lease, int slabs) {
      this.lease = lease;
      this.taken = new BitSet(slabs);
    }
  }

  /**
   * An arena without slabs yet.
   *
   * @param slabBytes bytes of a slab; slabs start at multiples of 64 bytes
   * @param slabsPerExtent slabs that are leased together
   */
  public SlabArena(Account account, long slabBytes, int slabsPerExtent) {
    if (slabBytes <= 0 || slabsPerExtent <= 0) {
      throw new IllegalArgumentException(
          "An arena of account '%s' needs slabs of more than 0 bytes, and more than 0 at a time, not %,d × %,d"
              .formatted(account.name(), slabsPerExtent, slabBytes));
    }
    this.account = account;
    this.slabBytes = slabBytes;
    this.stride = Math.addExact(slabBytes, ALIGNMENT - 1) & -ALIGNMENT;
    this.slabsPerExtent = slabsPerExtent;
    Math.multiplyExact(stride, (long) slabsPerExtent);
  }

  /** Bytes that an extent of {@code slabs} slabs of {@code slabBytes} bytes takes from a budget. */
  public static long extentBytes(long slabBytes, int slabs) {
    return NativeMemory.wholePages(((slabBytes + ALIGNMENT - 1) & -ALIGNMENT) * slabs);
  }

  public Account account() {
    return account;
  }

  public long slabBytes() {
    return slabBytes;
  }

  /** Slabs that are taken now. */
  public synchronized int liveSlabs() {
    return liveSlabs;
  }

  /** Bytes leased now, for taken and free slabs. */
  public synchronized long leasedBytes() {
    return extents.stream().mapToLong(e -> e.lease.bytes()).sum();
  }

  /**
   * Takes a slab. Its bytes are zero if it was never used before, and otherwise what its last
   * holder left.
   *
   * @throws BudgetExceededException if a new extent is needed and does not fit
   */
  public Slab allocate() {
    synchronized (this) {
      checkOpen();
      for (Extent extent : extents) {
        if (extent.live < slabsPerExtent) {
          return take(extent);
        }
      }
    }
    // Leased without the arena's lock: under pressure this asks others, who may close slabs here.
    Lease lease = account.lease(stride * slabsPerExtent);
    synchronized (this) {
      if (!closed) {
        Extent extent = new Extent(lease, slabsPerExtent);
        extents.add(extent);
        return take(extent);
      }
    }
    lease.close();
    throw closedArena();
  }

  private Slab take(Extent extent) {
    int index = extent.taken.nextClearBit(0);
    MemorySegment segment = extent.lease.segment().asSlice(index * stride, slabBytes);
    Slab slab = new Slab(this, extent, index, segment);
    extent.taken.set(index);
    extent.live++;
    liveSlabs++;
    return slab;
  }

  private synchronized void free(Slab slab) {
    if (closed) {
      throw closedArena();
    }
    if (slab.closed) {
      throw new IllegalStateException("Slab of account '" + account.name() + "' closed twice");
    }
    Extent extent = slab.extent;
    if (extent.live == 1) {
      extent.lease.close(); // first: if its memory is in use this throws, and nothing has changed
      extents.remove(extent);
    }
    slab.closed = true;
    extent.taken.clear(slab.index);
    extent.live--;
    liveSlabs--;
  }

  private synchronized MemorySegment segment(Slab slab) {
    checkOpen();
    if (slab.closed) {
      throw new IllegalStateException("Slab of account '" + account.name() + "' used after close");
    }
    return slab.segment;
  }

  private void checkOpen() {
    if (closed) {
      throw closedArena();
    }
  }

  private IllegalStateException closedArena() {
    return new IllegalStateException(
        "Slab arena of account '" + account.name() + "' used after close");
  }

  /** Gives back everything, taken slabs included: using or closing them throws from now on. */
  @Override
  public synchronized void close() {
    checkOpen();
    closed = true;
    liveSlabs = 0;
    extents.forEach(e -> e.lease.close());
    extents.clear();
  }

  /**
   * A piece of an arena until closed. Using it after that, or closing it twice, throws {@link
   * IllegalStateException} with the account's name.
   */
  public static final class Slab implements AutoCloseable {
    private final SlabArena arena;
    private final Extent extent;
    private final int index;
    private final MemorySegment segment;
    private boolean closed; // guarded by the arena

    private Slab(SlabArena arena, Extent extent, int index, MemorySegment segment) {
      this.arena = arena;
      this.extent = extent;
      this.index = index;
      this.segment = segment;
    }

    /**
     * The memory: {@link SlabArena#slabBytes()} bytes. Do not keep it past the slab: its place may
     * be another slab's by then.
     */
    public MemorySegment segment() {
      return arena.segment(this);
    }

    @Override
    public void close() {
      arena.free(this);
    }
  }
}
