package dev.knapsack.cache;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * The states of one sequence in layers that carry one from token to token.
 *
 * <p>Each has two places: the state after the tokens so far, and where a step writes the one after
 * its own. They change places when the step is committed, so that one that fails has changed
 * nothing. What a state was before cannot be had again; so copies of all of them, checkpoints, are
 * kept of some positions.
 */
final class RecurrentStates implements AutoCloseable {
  /** All states at one position, in a page that forks and the prefix tree may hold too. */
  private record Checkpoint(int position, int slab) {}

  private final KvPool pool;
  private final Lease lease;

  /** The beginning of each layer's state in a checkpoint; its first place is at twice that. */
  private final long[] at;

  /** By layer, whether the state so far is in the second place. */
  private final boolean[] second;

  /** By layer, whether the step under way writes the next state. */
  private final boolean[] written;

  /** Pages of checkpoints. */
  private final SlabArena pages;

  /** Checkpoints that are kept at the most. */
  private final int most;

  /** Checkpoints of ends of turns: the last ones, ascending. */
  private final List<Checkpoint> turns = new ArrayList<>();

  /** Those between, ascending. */
  private final List<Checkpoint> others = new ArrayList<>();

  /**
   * @param most checkpoints that are kept at the most
   */
  RecurrentStates(KvPool pool, int most) {
    this.pool = pool;
    this.most = most;
    this.pages = pool.pages().arena(pool.layout().checkpointBytes());
    int layers = pool.layout().layers().size();
    this.lease = pool.besidePages(2 * bytes(pool.layout()));
    this.at = new long[layers + 1];
    this.second = new boolean[layers];
    this.written = new boolean[layers];
    for (int l = 0; l < layers; l++) {
      at[l + 1] = at[l] + bytes(pool.layout(), l);
    }
  }

  static long bytes(KvLayout layout, int layer) {
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
    return checkpoints().mapToInt(Checkpoint::position).filter(p -> p < to).max().orElse(0);
  }

  private Stream<Checkpoint> checkpoints() {
    return Stream.concat(turns.stream(), others.stream());
  }

  /** Ends of turns that there are checkpoints of, ascending. */
  List<Integer> turns() {
    return positions(turns);
  }

  private static List<Integer> positions(List<Checkpoint> checkpoints) {
    return checkpoints.stream().map(Checkpoint::position).toList();
  }

  /** The page that holds the checkpoint of a position; -1 if there is none. */
  int slab(int position) {
    return checkpoints()
        .filter(checkpoint -> checkpoint.position == position)
        .mapToInt(Checkpoint::slab)
        .findFirst()
        .orElse(-1);
  }

  /**
   * Keeps a copy of the states as they are now, if there is room for it.
   *
   * @param turn whether a turn ends here
   */
  void checkpoint(int position, boolean turn) {
    List<Checkpoint> list = turn ? turns : others;
    int limit = turn ? Math.min(most, Checkpoints.TURNS) : most - Checkpoints.TURNS;
    int known = slab(position);
    if (limit <= 0 || (known >= 0 && !turn) || ends(turns, position)) {
      return;
    }
    if (list.size() == limit) {
      int least = turn ? 0 : Checkpoints.leastMissed(positions(list), position);
      pages.release(list.remove(least).slab);
    }
    if (known >= 0) {
      pages.share(known);
      list.add(new Checkpoint(position, known));
      return;
    }
    int slab;
    try {
      slab = pages.allocate();
    } catch (BudgetExceededException noRoom) {
      return;
    }
    KvLayout layout = pool.layout();
    long to = pages.offset(slab);
    for (int l = 0; l < written.length; l++) {
      if (at[l + 1] > at[l]) {
        layout.checkpointFormat(l).encode(state(l), 0, pages.memory(), to, numbers(l));
        to += layout.checkpointBytes(l);
      }
    }
    list.add(new Checkpoint(position, slab));
  }

  private static boolean ends(List<Checkpoint> list, int position) {
    return !list.isEmpty() && list.getLast().position == position;
  }

  private long numbers(int layer) {
    return (at[layer + 1] - at[layer]) / Float.BYTES;
  }

  /** Reads a layer's state in a checkpoint, as F32. */
  void read(int position, int layer, MemorySegment numbers) {
    KvLayout layout = pool.layout();
    long from = pages.offset(slab(position));
    for (int l = 0; l < layer; l++) {
      from += layout.checkpointBytes(l);
    }
    layout.checkpointFormat(layer).decode(pages.memory(), from, numbers, 0, numbers(layer));
  }

  /** Makes the states what a checkpoint holds. */
  void take(int slab) {
    begin();
    KvLayout layout = pool.layout();
    long from = pages.offset(slab);
    for (int l = 0; l < written.length; l++) {
      if (at[l + 1] > at[l]) {
        layout.checkpointFormat(l).decode(pages.memory(), from, state(l), 0, numbers(l));
        from += layout.checkpointBytes(l);
      }
    }
  }

  /** Goes back to a checkpoint, or to the beginning, where states are zero. */
  void back(int position) {
    begin();
    forget(turns, position);
    forget(others, position);
    if (position == 0) {
      lease.segment().fill((byte) 0);
      return;
    }
    int slab = slab(position);
    if (slab < 0) {
      throw new IllegalArgumentException("There is no checkpoint of %,d".formatted(position));
    }
    take(slab);
  }

  /** Forgets what comes after a position. */
  private void forget(List<Checkpoint> list, int position) {
    while (!list.isEmpty() && list.getLast().position > position) {
      pages.release(list.removeLast().slab);
    }
  }

  RecurrentStates fork() {
    RecurrentStates fork = new RecurrentStates(pool, most);
    fork.lease.segment().copyFrom(lease.segment());
    System.arraycopy(second, 0, fork.second, 0, second.length);
    fork.turns.addAll(turns);
    fork.others.addAll(others);
    checkpoints().forEach(checkpoint -> pages.share(checkpoint.slab));
    return fork;
  }

  @Override
  public void close() {
    forget(turns, -1);
    forget(others, -1);
    lease.close();
  }
}
