package dev.knapsack.constraint;

import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;

/**
 * Tokens by their bytes, so that those that begin alike are looked at together.
 *
 * <p>Three numbers of 32 bit a node, the nodes before those below them: its byte and its depth, the
 * node behind all below it, and the place of its first token in a list of all. A node's tokens end
 * where those of the next node begin.
 */
final class VocabularyTrie implements AutoCloseable {
  /** A token and the bytes that it adds to a text. */
  record Entry(int token, byte[] bytes) {}

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final long NODE = 12;

  private final int nodes;
  private final int depth;
  private final Lease lease;

  /** The nodes, then the list of tokens. */
  private final MemorySegment memory;

  /**
   * @param entries each with a byte at the least
   */
  VocabularyTrie(List<Entry> entries, Account account) {
    Entry[] sorted = entries.toArray(Entry[]::new);
    Arrays.sort(sorted, (a, b) -> Arrays.compareUnsigned(a.bytes, b.bytes));
    int count = 0;
    byte[] before = new byte[0];
    int deepest = 0;
    for (Entry entry : sorted) {
      count += entry.bytes.length - common(before, entry.bytes);
      deepest = Math.max(deepest, entry.bytes.length);
      before = entry.bytes;
    }
    nodes = count;
    depth = deepest;
    // One node more, where the tokens of the last one end.
    lease = account.lease(NODE * (nodes + 1) + 4L * sorted.length);
    memory = lease.segment();
    fill(sorted);
  }

  private static int common(byte[] a, byte[] b) {
    int at = Arrays.mismatch(a, b);
    return at < 0 ? a.length : at;
  }

  private void fill(Entry[] sorted) {
    int[] open = new int[depth];
    byte[] before = new byte[0];
    int next = 0;
    for (int i = 0; i <= sorted.length; i++) {
      byte[] bytes = i < sorted.length ? sorted[i].bytes : new byte[0];
      int same = common(before, bytes);
      for (int at = same; at < before.length; at++) {
        memory.set(INT, NODE * open[at] + 4, next);
      }
      for (int at = same; at < bytes.length; at++) {
        open[at] = next;
        memory.set(INT, NODE * next, at << 8 | (bytes[at] & 0xFF));
        // Tokens of the same bytes stand at one node: the first of them is here.
        memory.set(INT, NODE * next + 8, i);
        next++;
      }
      if (i < sorted.length) {
        memory.set(INT, NODE * (nodes + 1) + 4L * i, sorted[i].token);
      }
      before = bytes;
    }
    memory.set(INT, NODE * nodes + 8, sorted.length);
  }

  /** Bytes that it takes from its account. */
  long bytes() {
    return Account.charged(memory.byteSize());
  }

  /**
   * Adds to a mask the tokens that a text of a term may begin with.
   *
   * @param hidden whether a space with which a token begins counts for nothing
   * @param all says of a term whether every token that leads to it may go on in every way
   */
  void allow(Term term, boolean hidden, Predicate<Term> all, long[] mask) {
    Term[] path = new Term[depth + 1];
    path[0] = term;
    int node = 0;
    while (node < nodes) {
      long at = NODE * node;
      int packed = memory.get(INT, at);
      int level = packed >>> 8;
      int symbol = packed & 0xFF;
      boolean space = hidden && symbol == ' ';
      Term next = space && level == 0 ? path[0] : path[level].derive(symbol);
      // Where a space is hidden, tokens with another one are not needed, nor certain.
      if ((space && level > 0) || !next.live()) {
        node = memory.get(INT, at + 4);
        continue;
      }
      path[level + 1] = next;
      int behind = all.test(next) ? memory.get(INT, at + 4) : node + 1;
      int end = memory.get(INT, NODE * behind + 8);
      for (int i = memory.get(INT, at + 8); i < end; i++) {
        int token = memory.get(INT, NODE * (nodes + 1) + 4L * i);
        mask[token >> 6] |= 1L << token;
      }
      node = behind;
    }
  }

  /**
   * Makes a mask of the tokens that a text of a term may begin with out of that of another term.
   *
   * @param base the other; the more of their derivatives are the same, the less there is to do
   */
  void correct(Terms terms, Term term, Term base, long[] mask) {
    Term[] path = new Term[depth + 1];
    Term[] bases = new Term[depth + 1];
    ByteSet[] but = new ByteSet[depth + 1];
    path[0] = term;
    bases[0] = base;
    but[0] = but(terms, term, base);
    int node = 0;
    while (node < nodes) {
      long at = NODE * node;
      int packed = memory.get(INT, at);
      int level = packed >>> 8;
      int symbol = packed & 0xFF;
      int behind = memory.get(INT, at + 4);
      if (!but[level].has(symbol)) {
        node = behind;
        continue;
      }
      Term next = path[level].derive(symbol);
      Term other = bases[level].derive(symbol);
      if (next == other) {
        node = behind;
        continue;
      }
      boolean live = next.live();
      int following = live ? node + 1 : behind;
      int end = memory.get(INT, NODE * following + 8);
      for (int i = memory.get(INT, at + 8); i < end; i++) {
        int token = memory.get(INT, NODE * (nodes + 1) + 4L * i);
        mask[token >> 6] = (mask[token >> 6] & ~(1L << token)) | (live ? 1L << token : 0);
      }
      if (live) {
        path[level + 1] = next;
        bases[level + 1] = other;
        but[level + 1] = but(terms, next, other);
      }
      node = following;
    }
  }

  /** Bytes by which two terms may have different derivatives. */
  private static ByteSet but(Terms terms, Term term, Term base) {
    Near near = terms.near(term);
    return near != null && near.base() == base ? near.but() : ByteSet.ALL;
  }

  @Override
  public void close() {
    lease.close();
  }
}
