package dev.knapsack.cache;

import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Tokens of one KV head that are kept in one form, as a store reads and writes them: in order, each
 * token's key followed by its value, in the form's own bytes.
 */
public final class KvPart {
  private final HeadPages pages;
  private final int most;

  KvPart(HeadPages pages, int most) {
    this.pages = pages;
    this.most = most;
  }

  public Format keyFormat() {
    return pages.form().keyFormat();
  }

  public Format valueFormat() {
    return pages.form().valueFormat();
  }

  /** Numbers in a key. */
  public int keySize() {
    return pages.form().keySize();
  }

  /** Numbers in a value. */
  public int valueSize() {
    return pages.form().valueSize();
  }

  /** Tokens that are held. */
  public int count() {
    return pages.count();
  }

  /** The most tokens that can be here between two steps, however long the sequence is. */
  public int most() {
    return most;
  }

  /** The position of the first token, or where the next would be. */
  public int start() {
    return pages.start();
  }

  /** The position of each token; null if each follows the one before. */
  public int @Nullable [] positions() {
    return pages.positions();
  }

  /** Bytes of a token: of its key and its value. */
  public long tokenBytes() {
    return pages.form().keyBytes() + pages.form().valueBytes();
  }

  /**
   * Copies tokens out.
   *
   * @param from the first of them
   * @param into where their {@code tokens · tokenBytes()} bytes go, from byte {@code at} on
   */
  public void read(int from, int tokens, MemorySegment into, long at) {
    pages.copyOut(from, tokens, into, at);
  }

  /**
   * Makes room for {@code tokens} tokens where there are none yet.
   *
   * @param start the position of the first
   * @param positions the position of each, ascending; null if each follows the one before
   * @throws dev.knapsack.memory.BudgetExceededException if the pages do not fit
   */
  public void reserve(int tokens, int start, int @Nullable [] positions) {
    if (pages.count() != 0) {
      throw new IllegalStateException(
          "Tokens are put back where there are none, not behind others");
    }
    pages.reserve(start, tokens, positions);
  }

  /** Adds tokens, for which there is room, as {@link #read} gave them. */
  public void add(int tokens, MemorySegment from, long at) {
    pages.copyIn(tokens, from, at);
  }
}
