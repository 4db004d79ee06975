package dev.knapsack.memory;

import dev.knapsack.os.NativeMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Bytes taken from an {@link Account} until closed.
 *
 * <p>Using a closed lease, or closing it twice, throws {@link IllegalStateException} with the
 * account's name. A segment kept from a closed lease throws when it is accessed.
 */
public final class Lease implements AutoCloseable {
  private final Account account;
  private final @Nullable Arena arena;
  private final @Nullable MemorySegment segment;

  // Guarded by this lease.
  private long bytes;
  private boolean closed;

  private Lease(
      Account account, long bytes, @Nullable Arena arena, @Nullable MemorySegment segment) {
    this.account = account;
    this.bytes = bytes;
    this.arena = arena;
    this.segment = segment;
  }

  static Lease ofMemory(Account account, long taken, long bytes) {
    Arena arena = Arena.ofShared();
    try {
      return new Lease(account, taken, arena, NativeMemory.map(bytes, arena));
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  static Lease ofReservation(Account account, long bytes) {
    return new Lease(account, bytes, null, null);
  }

  public Account account() {
    return account;
  }

  /**
   * Bytes taken from the account: whole pages, at least the segment's size; of a closed lease those
   * that it had.
   */
  public synchronized long bytes() {
    return bytes;
  }

  /**
   * Takes bytes more into a reservation.
   *
   * @throws dev.knapsack.error.BudgetExceededException if the budget has fewer bytes free, after
   *     all reclaimers were asked
   */
  public void grow(long more) {
    checkReservation(more);
    account.budget().take(account, more);
    add(more);
  }

  /** Does the same if it fits in what is free: nobody is asked to give back. */
  public boolean tryGrow(long more) {
    checkReservation(more);
    boolean taken = account.budget().tryTake(account, more);
    if (taken) {
      add(more);
    }
    return taken;
  }

  private void add(long taken) {
    synchronized (this) {
      if (!closed) {
        bytes += taken;
        return;
      }
    }
    account.budget().giveBack(account, taken); // closed by somebody who was asked to give back
    checkOpen();
  }

  /** Gives a part of a reservation back. */
  public void shrink(long fewer) {
    checkReservation(fewer);
    synchronized (this) {
      checkOpen(); // nobody has closed it meanwhile
      if (fewer > bytes) {
        throw new IllegalArgumentException(
            "Account '%s' reserved %,d bytes: %,d of them cannot be given back"
                .formatted(account.name(), bytes, fewer));
      }
      bytes -= fewer;
    }
    account.budget().giveBack(account, fewer);
  }

  private void checkReservation(long change) {
    if (segment != null || change < 0) {
      throw new IllegalArgumentException(
          "A lease of account '%s' cannot change by %,d bytes: a reservation can, by 0 or more"
              .formatted(account.name(), change));
    }
    checkOpen();
  }

  private synchronized void checkOpen() {
    if (closed) {
      throw new IllegalStateException("Lease of account '" + account.name() + "' used after close");
    }
  }

  /**
   * The leased memory: as many bytes as were asked for, zero at first, readable and writable from
   * every thread.
   */
  public synchronized MemorySegment segment() {
    checkOpen();
    if (segment == null) {
      throw new IllegalStateException(
          "Account '" + account.name() + "' reserved these bytes without memory");
    }
    return segment;
  }

  /**
   * Returns the memory to the operating system and the bytes to the account.
   *
   * @throws IllegalStateException if the lease is closed, or if a read from a file or a native call
   *     is using its memory at this moment: it stays open then
   */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("Lease of account '" + account.name() + "' closed twice");
      }
      if (arena != null) {
        try {
          arena.close();
        } catch (IllegalStateException e) {
          throw new IllegalStateException(
              "Lease of account '" + account.name() + "' closed while its memory is in use", e);
        }
      }
      closed = true;
    }
    account.budget().giveBack(account, bytes);
  }
}
