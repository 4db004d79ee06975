package dev.knapsack.cache;

import java.util.function.IntFunction;

/**
 * The beginning of one sequence that it shares through a {@link PrefixTree}: whole blocks of
 * tokens, which stay in the tree as long as this is open.
 */
public final class SharedPrefix implements AutoCloseable {
  private final PrefixTree tree;
  private PrefixTree.Node last;
  private boolean closed;

  SharedPrefix(PrefixTree tree, PrefixTree.Node last) {
    this.tree = tree;
    this.last = last;
  }

  PrefixTree.Node last() {
    return last;
  }

  /** Blocks that are shared. */
  public int blocks() {
    return last.depth;
  }

  /** Tokens that are shared. */
  public int tokens() {
    return last.depth * last.blocks.pool.layout().pageTokens();
  }

  /**
   * Tokens, of those that are shared, that were computed as a prompt that depends on no other: see
   * {@link PrefixTree#find}.
   */
  public int exactTokens() {
    PrefixTree.Node node = last;
    while (!node.exact && node.parent != null) {
      node = node.parent;
    }
    return node.depth * last.blocks.pool.layout().pageTokens();
  }

  /** Makes what is shared all that a sequence has cached. */
  public void adopt(SequenceState state) {
    adopt(state, 0, last);
  }

  private static void adopt(SequenceState state, int held, PrefixTree.Node node) {
    state.adopt(held, node.depth, PrefixTree.path(node), node.checkpoint);
    node.goneOnFrom = true;
  }

  /**
   * Goes on with blocks that the tree has and that the sequence has not computed, if there are any;
   * what it has computed of them is forgotten.
   *
   * @param tokens the tokens of each block of the sequence
   * @param most blocks to share at most
   * @param exact whether only {@linkplain PrefixTree#find exact} ones will do
   * @return tokens that need not be computed
   */
  public int advance(
      SequenceState state, KvPromise promise, IntFunction<int[]> tokens, int most, boolean exact) {
    PrefixTree.Node known = tree.deepest(last, tokens, most, exact);
    if (!exact) {
      state.branch(known.depth * last.blocks.pool.layout().pageTokens());
    }
    PrefixTree.Node node = tree.usable(known, last);
    int found = node.depth * last.blocks.pool.layout().pageTokens() - state.length();
    if (found <= 0) {
      return 0;
    }
    adopt(state, last.depth, node);
    moveTo(node);
    promise.share(node.depth);
    return found;
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
    int page = last.blocks.pool.layout().pageTokens();
    int complete = Math.min(most, state.length() / page);
    while (last.depth < complete) {
      int end = (last.depth + 1) * page;
      PrefixTree.Node node =
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
    PrefixTree.Node node = last;
    while (node.depth * last.blocks.pool.layout().pageTokens() > tokens && node.parent != null) {
      node = node.parent;
    }
    if (!promise.own(node.depth)) {
      return false;
    }
    moveTo(node);
    return true;
  }

  private void moveTo(PrefixTree.Node node) {
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

  /** The sequence shares nothing any more; to be done after its cache was closed. */
  @Override
  public void close() {
    if (closed) {
      throw new IllegalStateException("Shared prefix closed twice");
    }
    closed = true;
    tree.unpin(last);
  }
}
