package dev.knapsack.constraint;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Offer;
import dev.knapsack.memory.Reclaimer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The masks that were made last, by their terms: the one used longest ago makes room.
 *
 * <p>It takes what is free and asks nobody to give back for it, and gives all of it back to whoever
 * asks. Safe for use by many threads.
 */
final class MaskCache implements Reclaimer, AutoCloseable {
  /** Masks of a slab. */
  private static final int SLAB = 64;

  /** Seconds that making a mask again takes, about. */
  private static final double MAKING = 50e-6;

  /**
   * The key of a mask.
   *
   * @param hidden whether a space with which a token begins counts for nothing
   */
  record Key(Term term, boolean hidden) {}

  private final Account account;
  private final int words;
  private final int mostSlabs;

  // Guarded by this object.
  private final List<Lease> slabs = new ArrayList<>();
  private final Map<Key, Integer> slots = new LinkedHashMap<>(16, 0.75f, true);
  private final BitSet taken = new BitSet();

  /**
   * @param words of a mask
   * @param most bytes that it takes at the most
   */
  MaskCache(Account account, int words, long most) {
    this.account = account;
    this.words = words;
    this.mostSlabs = (int) (most / Account.charged(slabBytes(words)));
  }

  private static long slabBytes(int words) {
    return 8L * words * SLAB;
  }

  /** Bytes of so many masks at the least, in whole slabs. */
  static long bytes(int words, int masks) {
    return Math.ceilDiv(masks, SLAB) * Account.charged(slabBytes(words));
  }

  /** Copies a mask that is kept; says whether it is. */
  synchronized boolean read(Key key, long[] mask) {
    Integer slot = slots.get(key);
    if (slot != null) {
      MemorySegment.copy(slab(slot), ValueLayout.JAVA_LONG, offset(slot), mask, 0, words);
    }
    return slot != null;
  }

  /** Keeps a mask, where there is room or another makes some. */
  synchronized void keep(Key key, long[] mask) {
    boolean room = slots.size() < SLAB * slabs.size() || grow();
    if (slots.containsKey(key) || (!room && slots.isEmpty())) {
      return;
    }
    if (!room) {
      Iterator<Integer> oldest = slots.values().iterator();
      taken.clear(oldest.next());
      oldest.remove();
    }
    int slot = taken.nextClearBit(0);
    taken.set(slot);
    slots.put(key, slot);
    MemorySegment.copy(mask, 0, slab(slot), ValueLayout.JAVA_LONG, offset(slot), words);
  }

  private boolean grow() {
    long bytes = slabBytes(words);
    if (slabs.size() == mostSlabs
        || account.budget().isClaimed()
        || account.free() < Account.charged(bytes)) {
      return false;
    }
    try {
      return slabs.add(account.budget().askingNobody(() -> account.lease(bytes)));
    } catch (BudgetExceededException e) {
      return false; // somebody was faster
    }
  }

  private MemorySegment slab(int slot) {
    return slabs.get(slot / SLAB).segment();
  }

  private long offset(int slot) {
    return 8L * words * (slot % SLAB);
  }

  @Override
  public synchronized List<Offer> offers() {
    long bytes = slabs.size() * Account.charged(slabBytes(words));
    return bytes == 0 ? List.of() : List.of(new Offer(bytes, slots.size() * MAKING, true));
  }

  @Override
  public long reclaim(long bytes) {
    List<Lease> given = new ArrayList<>();
    long each = Account.charged(slabBytes(words));
    synchronized (this) {
      while (given.size() * each < bytes && !slabs.isEmpty()) {
        given.add(slabs.removeLast());
      }
      int left = SLAB * slabs.size();
      slots.values().removeIf(slot -> slot >= left);
      taken.clear(left, Math.max(left, taken.length()));
    }
    given.forEach(Lease::close); // which may wake others
    return given.size() * each;
  }

  @Override
  public void hurry() {
    // All that it offers it gives at once.
  }

  /** Gives all its memory back. */
  @Override
  public void close() {
    reclaim(Long.MAX_VALUE);
  }
}
