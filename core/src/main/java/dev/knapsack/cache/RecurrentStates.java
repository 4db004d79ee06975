package dev.knapsack.cache;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The states of one sequence in layers that carry one from token to token.
 *
 * <p>Each has two places: the state after the tokens so far, and where a step writes the one after
 * its own. They change places when the step is committed, so that one that fails has changed
 * nothing. What a state was before cannot be had again; so copies of all of them, checkpoints, are
 * kept of some positions.
 */
final class RecurrentStates implements AutoCloseable {
  /**
   * Tokens of a prompt between two checkpoints: what has to be computed again at the most, and then
   * in two steps of usual length.
   */
  static final int DISTANCE = 512;

  /**
   * Checkpoints of a sequence at the most: the beginnings of the last turn and of its answer, and
   * two in what came before.
   */
  static final int CHECKPOINTS = 4;

  /** All states at one position; forks have it together, and nobody writes into it. */
  private static final class Checkpoint {
    final int position;
    final Lease lease;
    private final AtomicInteger holders = new AtomicInteger(1);

    Checkpoint(int position, Lease lease) {
      this.position = position;
      this.lease = lease;
    }

    Checkpoint share() {
      holders.incrementAndGet();
      return this;
    }

    void release() {
      if (holders.decrementAndGet() == 0) {
        lease.close();
      }
    }
  }

  private final KvPool pool;
  private final Lease lease;

  /** The beginning of each layer's state in a checkpoint; its first place is at twice that. */
  private final long[] at;

  /** By layer, whether the state so far is in the second place. */
  private final boolean[] second;

  /** By layer, whether the step under way writes the next state. */
  private final boolean[] written;

  /** Ascending. */
  private final List<Checkpoint> checkpoints = new ArrayList<>();

  RecurrentStates(KvPool pool) {
    this.pool = pool;
    int layers = pool.layout().layers().size();
    this.lease = pool.besidePages(2 * bytes(pool.layout()));
    this.at = new long[layers + 1];
    this.second = new boolean[layers];
    this.written = new boolean[layers];
    for (int l = 0; l < layers; l++) {
      at[l + 1] = at[l] + bytes(pool.layout(), l);
    }
  }

  private static long bytes(KvLayout layout, int layer) {
    return layout.layers().get(layer).stateBytes();
  }

  /** Bytes of the states after one token, of all layers; 0 if there are none. */
  static long bytes(KvLayout layout) {
    long bytes = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      bytes += bytes(layout, l);
    }
    return bytes;
  }

  /** The most that they and their checkpoints take of a sequence's account. */
  static long charged(KvLayout layout) {
    long bytes = bytes(layout);
    return Account.charged(2 * bytes) + CHECKPOINTS * Account.charged(bytes);
  }

  private MemorySegment place(int layer, boolean other) {
    long bytes = at[layer + 1] - at[layer];
    if (bytes == 0) {
      throw new IllegalArgumentException("Layer %d carries no state".formatted(layer));
    }
    return lease.segment().asSlice(2 * at[layer] + (other ? bytes : 0), bytes);
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

  /** The last position before {@code to} that there is a checkpoint of; 0 if there is none. */
  int before(int to) {
    int last = 0;
    for (Checkpoint checkpoint : checkpoints) {
      last = checkpoint.position < to ? checkpoint.position : last;
    }
    return last;
  }

  /** Keeps a copy of the states as they are now, if there is room for it. */
  void checkpoint(int position) {
    if (!checkpoints.isEmpty() && checkpoints.getLast().position == position) {
      return;
    }
    if (checkpoints.size() == CHECKPOINTS) {
      checkpoints.remove(leastMissed()).release();
    }
    Lease copy;
    try {
      copy = pool.besidePages(at[written.length]);
    } catch (BudgetExceededException noRoom) {
      return;
    }
    for (int l = 0; l < written.length; l++) {
      copyState(l, copy, true);
    }
    checkpoints.add(new Checkpoint(position, copy));
  }

  private void copyState(int layer, Lease checkpoint, boolean into) {
    long bytes = at[layer + 1] - at[layer];
    if (bytes > 0) {
      MemorySegment copy = checkpoint.segment().asSlice(at[layer], bytes);
      MemorySegment state = state(layer);
      (into ? copy : state).copyFrom(into ? state : copy);
    }
  }

  /** The one, but for the last two, without which the fewest tokens are between its neighbours. */
  private int leastMissed() {
    int least = 0;
    int fewest = Integer.MAX_VALUE;
    for (int i = 0; i + 2 < checkpoints.size(); i++) {
      int before = i == 0 ? 0 : checkpoints.get(i - 1).position;
      int between = checkpoints.get(i + 1).position - before;
      if (between < fewest) {
        least = i;
        fewest = between;
      }
    }
    return least;
  }

  /** Goes back to a checkpoint, or to the beginning, where states are zero. */
  void back(int position) {
    begin();
    while (!checkpoints.isEmpty() && checkpoints.getLast().position > position) {
      checkpoints.removeLast().release();
    }
    if (position == 0) {
      lease.segment().fill((byte) 0);
      return;
    }
    Checkpoint checkpoint = checkpoints.getLast();
    if (checkpoint.position != position) {
      throw new IllegalArgumentException("There is no checkpoint of %,d".formatted(position));
    }
    for (int l = 0; l < written.length; l++) {
      copyState(l, checkpoint.lease, false);
    }
  }

  RecurrentStates fork() {
    RecurrentStates fork = new RecurrentStates(pool);
    fork.lease.segment().copyFrom(lease.segment());
    System.arraycopy(second, 0, fork.second, 0, second.length);
    checkpoints.forEach(checkpoint -> fork.checkpoints.add(checkpoint.share()));
    return fork;
  }

  @Override
  public void close() {
    checkpoints.forEach(Checkpoint::release);
    lease.close();
  }
}
