package dev.knapsack.cache;

import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The beginning of one sequence that it shares through a {@link PrefixTree}: whole blocks of
 * tokens, which stay in the tree as long as this is open.
 */
public final class SharedPrefix implements AutoCloseable {
  private final PrefixTree tree;
  private PrefixNode last;
  private boolean closed;

  /** The blocks that are being read from the tree's store; null if none are. */
  private @Nullable PrefixReading reading;

  /** Says that the store was asked, and has no more. */
  private boolean asked;

  /** Blocks from the beginning that may be read at most: the next could not be. */
  private int readable = Integer.MAX_VALUE;

  SharedPrefix(PrefixTree tree, PrefixNode last) {
    this.tree = tree;
    this.last = last;
  }

  PrefixNode last() {
    return last;
  }

  /** The salt of those that it shares with. */
  public String salt() {
    return last.blocks.salt;
  }

  /** Blocks that are shared. */
  public int blocks() {
    return last.depth;
  }

  /** Tokens that are shared. */
  public int tokens() {
    return last.depth * page();
  }

  /**
   * Tokens, of those that are shared, that were computed as a prompt that depends on no other: see
   * {@link PrefixTree#find}.
   */
  public int exactTokens() {
    PrefixNode node = last;
    while (!node.exact && node.parent != null) {
      node = node.parent;
    }
    return node.depth * page();
  }

  /** Makes what is shared all that a sequence has cached. */
  public void adopt(SequenceState state) {
    adopt(state, 0, last);
  }

  private static void adopt(SequenceState state, int held, PrefixNode node) {
    state.adopt(held, node.depth, PrefixTree.path(node), node.checkpoint);
    node.goneOnFrom = true;
  }

  /**
   * Goes on with blocks that the tree or its store has and that the sequence has not computed, if
   * there are any; what it has computed of them is forgotten. Those of the store are read piece by
   * piece, each time that this is called: as long as it {@linkplain #isReading reads}, nothing is
   * to be computed.
   *
   * @param tokens the tokens of each block of the sequence
   * @param most blocks to share at most
   * @param exact whether only {@linkplain PrefixTree#find exact} ones will do
   * @param bytes bytes after which reading goes on the next time; 0 to read nothing now
   * @return tokens that need not be computed
   */
  public int advance(
      SequenceState state,
      KvPromise promise,
      IntFunction<int[]> tokens,
      int most,
      boolean exact,
      long bytes) {
    PrefixNode known = tree.deepest(last, tokens, most, exact);
    if (!exact) {
      state.branch(known.depth * page());
    }
    PrefixNode node = tree.usable(known, last);
    PrefixReading begun = reading(state, tokens, most, exact, node);
    long read = 0;
    while (begun != null && !begun.isDone()) {
      if (read >= bytes) {
        return 0;
      }
      long more = begun.readNext();
      read += Math.max(0, more);
      if (more < 0) {
        readable = begun.read();
        stopReading();
        begun = reading(state, tokens, most, exact, node);
      }
    }
    int found = (begun == null ? node.depth : begun.blocks()) * page() - state.length();
    if (begun != null) {
      adopt(state, promise, tokens, exact, begun);
    } else if (found > 0) {
      adopt(state, last.depth, node);
      moveTo(node);
      promise.share(node.depth);
    }
    return Math.max(0, found);
  }

  /**
   * The blocks that are being read, or could be: those that lead beyond all that the sequence has,
   * and the tree.
   *
   * @param inTree the last block of the tree that the sequence could go on from
   */
  private @Nullable PrefixReading reading(
      SequenceState state, IntFunction<int[]> tokens, int most, boolean exact, PrefixNode inTree) {
    PrefixStore store = tree.store();
    if (reading == null && store != null && !asked) {
      reading = PrefixReading.plan(tree, store, last, tokens, Math.min(most, readable), exact);
      asked = reading == null;
    }
    int had = Math.max(inTree.depth, state.length() / page());
    if (reading != null && reading.blocks() <= had) {
      stopReading();
      asked = true;
    }
    return reading;
  }

  /** Goes on from what has been read, all of which the tree is to have. */
  private void adopt(
      SequenceState state,
      KvPromise promise,
      IntFunction<int[]> tokens,
      boolean exact,
      PrefixReading read) {
    read.adopt(state, last);
    int exactBlocks = read.exactBlocks();
    extend(state, promise, tokens, read.blocks(), exactBlocks * page(), exact);
    if (last.depth == read.blocks()) {
      tree.keep(last, read.checkpoint(), exactBlocks == last.depth);
      last.goneOnFrom = true;
    }
    read.markSaved(last);
    stopReading();
  }

  /** Says whether blocks are being read, which {@link #advance} goes on with. */
  public boolean isReading() {
    return reading != null;
  }

  /** Reads no more, until there is another text. */
  public void stopReading() {
    if (reading != null) {
      reading.close();
      reading = null;
    }
    asked = false;
  }

  private int page() {
    return last.blocks.pool.layout().pageTokens();
  }

  /**
   * Adds the blocks that a sequence has completed to the tree; those that the tree has, the
   * sequence shares from now on. To be done between {@link KvCache#encode} and {@link
   * SequenceState#compress}.
   *
   * @param tokens the tokens of each block of the sequence
   * @param most blocks to share at most
   * @param exactTokens tokens of its beginning that the sequence has computed exactly
   * @param exact whether only {@linkplain PrefixTree#find exact} blocks will do
   */
  public void extend(
      SequenceState state,
      KvPromise promise,
      IntFunction<int[]> tokens,
      int most,
      int exactTokens,
      boolean exact) {
    int complete = Math.min(most, state.length() / page());
    while (last.depth < complete) {
      int end = (last.depth + 1) * page();
      PrefixNode node =
          tree.add(
              last,
              tokens.apply(last.depth),
              state.kv().blocks(),
              promise,
              end <= exactTokens,
              exact);
      if (node == null) {
        return;
      }
      moveTo(node);
      tree.keep(node, state.checkpoint(end), end <= exactTokens);
    }
  }

  /**
   * Shares no more than the blocks within these tokens: the sequence is to go back to there.
   *
   * @param promise which pays for the others again
   * @return whether it has room for that; if not, nothing has changed
   */
  public boolean leave(int tokens, KvPromise promise) {
    PrefixNode node = last;
    while (node.depth * page() > tokens && node.parent != null) {
      node = node.parent;
    }
    if (!promise.own(node.depth)) {
      return false;
    }
    moveTo(node);
    return true;
  }

  private void moveTo(PrefixNode node) {
    tree.pin(node);
    tree.unpin(last);
    last = node;
  }

  /**
   * The same for another sequence.
   *
   * @param promise the other's, which need not pay for it
   */
  public SharedPrefix fork(KvPromise promise) {
    promise.share(last.depth);
    return new SharedPrefix(tree, tree.pin(last));
  }

  /** Leaves to the tree what a sequence has that ends: when its promise is closed. */
  public void inherit(SequenceState state) {
    if (last.parent != null && state.length() >= tokens()) {
      tree.inherit(last, state.kv().blocks());
    }
  }

  /** The sequence shares nothing any more; to be done after its cache was closed. */
  @Override
  public void close() {
    if (closed) {
      throw new IllegalStateException("Shared prefix closed twice");
    }
    closed = true;
    stopReading();
    tree.backlog().used(last);
    tree.unpin(last);
  }
}
