package dev.knapsack.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Bytes taken from an {@link Account} until closed.
 *
 * <p>Using a closed lease, or closing it twice, throws {@link IllegalStateException} with the
 * account's name.
 */
public final class Lease implements AutoCloseable {
  private final Account account;
  private final long bytes;
  private final @Nullable Arena arena;
  private final @Nullable MemorySegment segment;
  private boolean closed;

  Lease(Account account, long bytes, boolean memory) {
    this.account = account;
    this.bytes = bytes;
    this.arena = memory ? Arena.ofShared() : null;
    this.segment = arena == null ? null : arena.allocate(bytes, 4096);
  }

  public Account account() {
    return account;
  }

  public long bytes() {
    return bytes;
  }

  /**
   * The leased memory: {@link #bytes()} bytes, zero at first, readable and writable from every
   * thread.
   */
  public synchronized MemorySegment segment() {
    if (closed) {
      throw new IllegalStateException("Lease of account '" + account.name() + "' used after close");
    }
    if (segment == null) {
      throw new IllegalStateException(
          "Account '" + account.name() + "' reserved these bytes without memory");
    }
    return segment;
  }

  @Override
  public synchronized void close() {
    if (closed) {
      throw new IllegalStateException("Lease of account '" + account.name() + "' closed twice");
    }
    closed = true;
    if (arena != null) {
      arena.close();
    }
    account.giveBack(bytes);
  }
}
