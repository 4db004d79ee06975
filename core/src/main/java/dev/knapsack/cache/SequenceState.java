package dev.knapsack.cache;

import dev.knapsack.error.SpillException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * All that one sequence remembers: keys and values of attention's heads, and the states of layers
 * that carry one from token to token.
 *
 * <p>A step first {@linkplain #reserve reserves} room, then writes each layer's part, and at the
 * end {@linkplain #commit commits}. A step that fails before that has changed nothing. Used by one
 * thread at a time; sequences that share pages may be used by several.
 */
public final class SequenceState implements AutoCloseable {
  private final KvPool pool;
  private final KvCache kv;

  /** The part of it that others pay for. */
  private final KvShare share;

  /** The end of the block where its text parts from one that the prefix tree knows, or 0. */
  private int branch;

  /** Leased when it is first needed; null before, and where no layer carries a state. */
  private @Nullable RecurrentStates states;

  SequenceState(KvPool pool, KvShare share) {
    this(pool, share, new KvCache(pool), null);
  }

  private SequenceState(KvPool pool, KvShare share, KvCache kv, @Nullable RecurrentStates states) {
    this.pool = pool;
    this.share = share;
    this.kv = kv;
    this.states = states;
  }

  public KvLayout layout() {
    return pool.layout();
  }

  /** The keys and values of layers with heads. */
  public KvCache kv() {
    return kv;
  }

  /** Tokens of the sequence so far: the position of the next one. */
  public int length() {
    return kv.length();
  }

  /** Says that tokens up to {@code end} are a prompt: see {@link SequenceText#prompt}. */
  public void prompt(int end) {
    kv.text().prompt(end);
    checkpoint(true);
  }

  private void checkpoint(boolean turn) {
    if (states != null && length() > 0) {
      states.checkpoint(length(), turn);
    }
  }

  /**
   * Says that others begin as this sequence does, up to the end of a block, and then part from it:
   * so will more of them, and a checkpoint is kept there.
   */
  void branch(int position) {
    branch = position;
  }

  /** The page of the checkpoint of a position; -1 if there is none. */
  int checkpoint(int position) {
    return states == null ? -1 : states.slab(position);
  }

  /**
   * Makes blocks that others hold the beginning of this sequence, and forgets what came after.
   *
   * @param held blocks that are held already
   * @param to blocks that are held then
   * @param blocks the pages of each
   * @param checkpoint the page of the states after them; -1 where no layer carries one
   */
  void adopt(int held, int to, IntFunction<int[]> blocks, int checkpoint) {
    kv.blocks().adopt(held, to, blocks);
    if (checkpoint >= 0) {
      states().take(checkpoint);
    }
  }

  /**
   * Makes room for {@code tokens} tokens more in every layer.
   *
   * @throws dev.knapsack.error.BudgetExceededException if it does not fit; the sequence is as it
   *     was
   */
  public void reserve(int tokens) {
    if (layout().carriesStates()) {
      states().begin();
    }
    kv.reserve(tokens);
  }

  private RecurrentStates states() {
    if (!layout().carriesStates()) {
      throw new IllegalArgumentException("No layer carries a state");
    }
    if (states == null) {
      states = new RecurrentStates(pool, layout().checkpoints().own(share.checkpoints()));
    }
    return states;
  }

  /** The state of a layer after the tokens so far, in F32; zeros at the beginning. */
  public MemorySegment state(int layer) {
    return states().state(layer);
  }

  /**
   * The memory into which a step writes the state of a layer after the tokens that it adds, all of
   * it; what lies there is of no meaning. A layer for which this was not asked for keeps its state.
   */
  public MemorySegment next(int layer) {
    return states().next(layer);
  }

  /**
   * Makes tokens that were computed in every layer part of the sequence: those that {@link
   * SequenceText#read} was told.
   */
  public void commit(int tokens) {
    kv.commit(tokens);
    if (states != null) {
      states.commit();
    }
    if (length() == kv.text().promptEnd()) {
      checkpoint(true);
    } else if (states != null && length() == nextCheckpoint(length() - tokens)) {
      checkpoint(false);
    }
  }

  /**
   * The first position after {@code from} of which a checkpoint is to be kept: every so many
   * tokens; and if others may go on from there, where they part from this one, and at the last end
   * of a block before that of a prompt.
   */
  private int nextCheckpoint(int from) {
    int distance = layout().checkpoints().distance();
    int next = from - from % distance + distance;
    if (share.checkpoints()) {
      int page = layout().pageTokens();
      int last = (kv.text().promptEnd() - 1) / page * page;
      next = last > from ? Math.min(next, last) : next;
      next = branch > from ? Math.min(next, branch) : next;
    }
    return next;
  }

  /** Ends of turns of which checkpoints are kept, ascending: for stores. */
  public List<Integer> turns() {
    return states == null ? List.of() : states.turns();
  }

  /** Reads the state of a layer in a checkpoint, in F32: for stores. */
  public void checkpoint(int position, int layer, MemorySegment numbers) {
    states().read(position, layer, numbers);
  }

  /**
   * Keeps a checkpoint of states that a store has written into {@link #next}: before it writes
   * those of the end.
   */
  public void restoredCheckpoint(int position) {
    states().commit();
    states().checkpoint(position, true);
  }

  /**
   * Says how many tokens the sequence has, once a store has put back its heads' {@linkplain
   * KvCache#parts parts} and written its {@linkplain #next states}.
   *
   * @throws IllegalArgumentException if heads that forget nothing have other tokens than these
   */
  public void restored(int tokens) {
    kv.restored(tokens);
    if (states != null) {
      states.commit();
    }
  }

  /**
   * The last position at or before {@code to} that the sequence can go {@linkplain #back back} to:
   * see {@link KvCache#nearest}. Where layers carry states, that is where it ends or where one of
   * its {@link Checkpoints} is: there are some between, at the end of its last prompt and where
   * that began.
   */
  public int nearest(int to) {
    int nearest = kv.nearest(to);
    while (states != null && nearest < length() && nearest > 0) {
      int checkpoint = states.before(nearest + 1);
      if (checkpoint == nearest) {
        return nearest;
      }
      nearest = kv.nearest(checkpoint);
    }
    return nearest;
  }

  /**
   * Goes back to the {@linkplain #nearest nearest} position, and forgets the tokens from there on.
   *
   * @return that position
   * @throws SpillException if what is on disk cannot be read; the sequence is empty then
   */
  public int back(int to) {
    int before = length();
    try {
      return kv.back(nearest(to));
    } finally {
      follow(before);
    }
  }

  /** Takes states back with the cache, wherever that has gone from {@code before}. */
  private void follow(int before) {
    if (states != null && (length() < before || length() == 0)) {
      states.back(length());
    }
  }

  /** The most tokens that a step may add, so that the next checkpoint can be kept after it. */
  public int untilCheckpoint() {
    return layout().checkpoints().count() == 0
        ? Integer.MAX_VALUE
        : nextCheckpoint(length()) - length();
  }

  /** To be done after each step: {@link KvCache#encode}, and then {@link #compress}. */
  public void settle() {
    kv.encode();
    compress();
  }

  /**
   * Gives back what no later token sees: {@link KvCache#compress}.
   *
   * @throws SpillException if tokens cannot be moved to disk; the sequence is empty then
   */
  public void compress() {
    int before = length();
    try {
      kv.compress();
    } finally {
      follow(before);
    }
  }

  /**
   * A second sequence with the same tokens so far, which grows on its own.
   *
   * @throws dev.knapsack.error.BudgetExceededException if what it needs beside pages does not fit
   * @throws SpillException if what is on disk cannot be copied
   */
  public SequenceState fork() {
    RecurrentStates copy = states == null ? null : states.fork();
    try {
      SequenceState fork = new SequenceState(pool, share, kv.fork(), copy);
      fork.branch = branch;
      return fork;
    } catch (RuntimeException | Error e) {
      if (copy != null) {
        copy.close();
      }
      throw e;
    }
  }

  @Override
  public void close() {
    kv.close();
    if (states != null) {
      states.close();
    }
  }
}
