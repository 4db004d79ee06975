package dev.knapsack.engine;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Weights that pass through two buffers in every step: while one is computed with, the next is read
 * into the other.
 *
 * <p>Used by one thread at a time.
 */
final class WeightStream implements AutoCloseable {
  private static final class Buffer implements AutoCloseable {
    final Lease lease;
    int unit = -1;
    @Nullable CompletableFuture<Void> read;

    Buffer(Lease lease) {
      this.lease = lease;
    }

    /** Says whether what was read ahead into it could not be read. */
    boolean failed(WeightReader reader) {
      if (read != null) {
        reader.settle(read);
      }
      return read != null && read.isCompletedExceptionally();
    }

    void await(WeightReader reader) {
      if (read != null) {
        try {
          reader.await(read);
        } catch (RuntimeException | Error e) {
          unit = -1;
          throw e;
        } finally {
          read = null;
        }
      }
    }

    @Override
    public void close() {
      lease.close();
    }
  }

  private final List<Region> units;
  private final WeightReader reader;
  private final Buffer[] buffers;

  /**
   * Leases the buffers.
   *
   * @param units what passes through, each no larger than a buffer
   */
  WeightStream(List<Region> units, long bufferBytes, Account account, WeightReader reader) {
    this.units = List.copyOf(units);
    this.reader = reader;
    Buffer first = new Buffer(account.lease(bufferBytes));
    try {
      this.buffers = new Buffer[] {first, new Buffer(account.lease(bufferBytes))};
    } catch (RuntimeException e) {
      first.close();
      throw e;
    }
  }

  /** The memory of buffer 0 or 1. */
  MemorySegment memory(int buffer) {
    return buffers[buffer].lease.segment();
  }

  /** Starts reading a unit, if nothing else holds the buffers yet. */
  void prefetch(int unit) {
    if (find(unit) < 0) {
      start(unit, 0);
    }
  }

  /**
   * Waits until a unit has been read and starts to read the next into the other buffer.
   *
   * @return the buffer that holds the unit until the next call
   * @throws dev.knapsack.error.ModelFileException if it cannot be read; another call tries again
   */
  int acquire(int unit, int next) {
    int at = find(unit);
    if (at >= 0 && buffers[at].failed(reader)) {
      buffers[at].unit = -1; // read ahead at another time: now it may succeed
      at = -1;
    }
    if (at < 0) {
      at = buffers[0].unit == next ? 1 : 0;
      start(unit, at);
    }
    buffers[at].await(reader);
    if (find(next) < 0) {
      start(next, 1 - at);
    }
    return at;
  }

  private int find(int unit) {
    return buffers[0].unit == unit ? 0 : buffers[1].unit == unit ? 1 : -1;
  }

  // A read that is under way in this buffer, for a unit that nobody wants any more, is left to end:
  // the reader takes one after the other.
  private void start(int unit, int at) {
    Buffer buffer = buffers[at];
    buffer.unit = unit;
    buffer.read = reader.read(units.get(unit), buffer.lease.segment());
  }

  /** Gives the buffers back; the reader must be closed before. */
  @Override
  public void close() {
    buffers[0].close();
    buffers[1].close();
  }
}
