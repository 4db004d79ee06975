package dev.knapsack.cache;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The states of one sequence in layers that carry one from token to token.
 *
 * <p>Each has two places: the state after the tokens so far, and where a step writes the one after
 * its own. They change places when the step is committed, so that one that fails has changed
 * nothing.
 */
final class RecurrentStates implements AutoCloseable {
  private final KvPool pool;
  private final Lease lease;

  /** Where a layer's first place is; the second follows it. */
  private final long[] at;

  /** By layer, whether the state so far is in the second place. */
  private final boolean[] second;

  /** By layer, whether the step under way writes the next state. */
  private final boolean[] written;

  RecurrentStates(KvPool pool) {
    this.pool = pool;
    int layers = pool.layout().layers().size();
    this.lease = pool.besidePages(2 * bytes(pool.layout()));
    this.at = new long[layers];
    this.second = new boolean[layers];
    this.written = new boolean[layers];
    long next = 0;
    for (int l = 0; l < layers; l++) {
      at[l] = next;
      next += 2 * bytes(pool.layout(), l);
    }
  }

  private static long bytes(KvLayout layout, int layer) {
    return layout.layers().get(layer) instanceof LayerLayout.Recurrent(long bytes) ? bytes : 0;
  }

  /** Bytes of the states after one token, of all layers; 0 if there are none. */
  static long bytes(KvLayout layout) {
    long bytes = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      bytes += bytes(layout, l);
    }
    return bytes;
  }

  /** What they take of a sequence's account. */
  static long charged(KvLayout layout) {
    return Account.charged(2 * bytes(layout));
  }

  private MemorySegment place(int layer, boolean other) {
    long bytes = bytes(pool.layout(), layer);
    if (bytes == 0) {
      throw new IllegalArgumentException("Layer %d carries no state".formatted(layer));
    }
    return lease.segment().asSlice(at[layer] + (other ? bytes : 0), bytes);
  }

  MemorySegment state(int layer) {
    return place(layer, second[layer]);
  }

  MemorySegment next(int layer) {
    written[layer] = true;
    return place(layer, !second[layer]);
  }

  /** A step begins: nothing of the one before counts that was not committed. */
  void begin() {
    Arrays.fill(written, false);
  }

  void commit() {
    for (int l = 0; l < written.length; l++) {
      second[l] ^= written[l];
      written[l] = false;
    }
  }

  /** Goes back to the beginning of the sequence, where states are zero. */
  void clear() {
    lease.segment().fill((byte) 0);
  }

  RecurrentStates fork() {
    RecurrentStates fork = new RecurrentStates(pool);
    fork.lease.segment().copyFrom(lease.segment());
    System.arraycopy(second, 0, fork.second, 0, second.length);
    return fork;
  }

  @Override
  public void close() {
    lease.close();
  }
}
