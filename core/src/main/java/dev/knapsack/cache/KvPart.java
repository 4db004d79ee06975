package dev.knapsack.cache;

import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Tokens of one KV head that are kept in one form, as a store reads and writes them: in order, each
 * token's key followed by its value, in the form's own bytes.
 */
public final class KvPart {
  private final HeadTokens inMemory;
  private final int most;

  /** The tokens before those in memory; null where all are there. */
  private final @Nullable SpilledHead disk;

  KvPart(HeadTokens inMemory, int most) {
    this(inMemory, most, null);
  }

  KvPart(HeadTokens inMemory, int most, @Nullable SpilledHead disk) {
    this.inMemory = inMemory;
    this.most = most;
    this.disk = disk;
  }

  /** The form of its tokens. */
  public HeadForm form() {
    return inMemory.form();
  }

  /** Tokens that are held. */
  public int count() {
    return onDisk() + inMemory.count();
  }

  private int onDisk() {
    return disk == null ? 0 : disk.tokens();
  }

  /** The most tokens that can be here between two steps, however long the sequence is. */
  public int most() {
    return most;
  }

  /** The position of the first token, or where the next would be. */
  public int start() {
    return onDisk() > 0 ? 0 : inMemory.start();
  }

  /** The position of each token; null if each follows the one before. */
  public int @Nullable [] positions() {
    return inMemory.positions();
  }

  /** The channels of a key that are held, ascending, in one number each; null for all. */
  public int @Nullable [] channels() {
    return inMemory.channels();
  }

  /**
   * Says which channels of a key are held, where there are no tokens yet.
   *
   * @param all channels that a whole key has
   * @throws IllegalArgumentException if they are not {@link HeadForm#keySize} of those, ascending
   */
  public void channels(int[] held, int all) {
    if (held.length != form().keySize()
        || IntStream.range(0, held.length)
            .anyMatch(i -> held[i] < 0 || held[i] >= all || (i > 0 && held[i] <= held[i - 1]))) {
      throw new IllegalArgumentException("These are no channels of a key");
    }
    inMemory.channels(held);
  }

  /**
   * Copies tokens out.
   *
   * @param from the first of them
   * @param into where their {@code tokens · form().tokenBytes()} bytes go, from byte {@code at} on
   */
  public void read(int from, int tokens, MemorySegment into, long at) {
    int done = disk == null ? 0 : disk.read(from, tokens, into, at);
    inMemory.copyOut(from + done - onDisk(), tokens - done, into, at + done * form().tokenBytes());
  }

  /**
   * Makes room for {@code tokens} tokens where there are none yet.
   *
   * @param start the position of the first
   * @param positions the position of each, ascending; null if each follows the one before
   * @throws dev.knapsack.error.BudgetExceededException if the pages do not fit
   * @throws IllegalArgumentException if there are gaps, and some of them are to go to disk
   */
  public void reserve(int tokens, int start, int @Nullable [] positions) {
    if (inMemory.count() != 0) {
      throw new IllegalStateException(
          "Tokens are put back where there are none, not behind others");
    }
    if (disk == null) {
      inMemory.reserve(start, tokens, positions);
    } else if (start != 0 || positions != null) {
      throw new IllegalArgumentException(
          "What goes to disk begins with the first token and has no gaps");
    }
  }

  /** Adds tokens, for which there is room, as {@link #read} gave them. */
  public void add(int tokens, MemorySegment from, long at) {
    if (disk == null) {
      inMemory.copyIn(tokens, from, at);
    } else {
      disk.add(tokens, from, at);
    }
  }
}
