package dev.knapsack.kernel;

import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The tokens that attention meets of one KV head in one form, where they lie.
 *
 * <p>A page holds {@code pageTokens} tokens: their keys, one after the other, and from {@code
 * valuesAt} bytes on their values; where positions have gaps, from {@code positionsAt} bytes on the
 * position of each in 4 bytes. Token {@code i} (of {@code length}) is token {@code i % pageTokens}
 * of page {@code i / pageTokens}. The rows of a step are one page, in which each token's keys and
 * values are {@code heads} side by side. Where values begin with the keys, at 0, the first numbers
 * of a key are its value.
 *
 * @param memory what all pages lie in
 * @param pages where each page begins in it, in bytes
 * @param valuesAt where the values begin in a page, in bytes; {@link #IN_KEYS} if they are the
 *     beginnings of keys, in the same format
 * @param length tokens
 * @param start the position of the first token; the others follow, unless there are gaps
 * @param positionsAt where positions begin in a page, in bytes, which are ascending; {@link
 *     #NO_GAPS} if they have none
 * @param keys what is held of a key; null for all of it
 * @param values what is held of a value; null for all of it
 * @param heads KV heads whose keys, and whose values, lie side by side; 1 in a cache
 */
public record KvSpan(
    Format keyFormat,
    Format valueFormat,
    int pageTokens,
    MemorySegment memory,
    long[] pages,
    long valuesAt,
    int length,
    int start,
    long positionsAt,
    @Nullable Reduction keys,
    @Nullable Reduction values,
    int heads) {
  /** The beginning of values that are not stored beside keys, but are the first numbers of them. */
  public static final long IN_KEYS = 0;

  /** In place of where positions begin: each token's follows that of the one before. */
  public static final long NO_GAPS = -1;

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  /** Cached, with whole keys and values. */
  public KvSpan(
      Format keyFormat,
      Format valueFormat,
      int pageTokens,
      MemorySegment memory,
      long[] pages,
      long valuesAt,
      int length,
      int start,
      long positionsAt) {
    this(
        keyFormat,
        valueFormat,
        pageTokens,
        memory,
        pages,
        valuesAt,
        length,
        start,
        positionsAt,
        null,
        null,
        1);
  }

  /**
   * The rows of a text in a step, as a KV head's attention meets them.
   *
   * @param keys F32, one row a token: the keys of all heads
   * @param values likewise, behind them in the same memory
   * @param memory what both lie in
   * @param start the position of the first row
   */
  public static KvSpan rows(
      Matrix keys, Matrix values, MemorySegment memory, int kvHead, int kvHeads, int start) {
    long key = keys.data().address() + kvHead * keys.rowBytes() / kvHeads;
    long value = values.data().address() + kvHead * values.rowBytes() / kvHeads;
    return new KvSpan(
        keys.format(),
        values.format(),
        keys.rows(),
        memory,
        new long[] {key - memory.address()},
        value - key,
        keys.rows(),
        start,
        NO_GAPS,
        null,
        null,
        kvHeads);
  }

  /** Tokens {@code [from, to)} of these; {@code from} is the first of a page, or {@code to}. */
  public KvSpan part(int from, int to) {
    int firstPage = from / pageTokens;
    return new KvSpan(
        keyFormat,
        valueFormat,
        pageTokens,
        memory,
        Arrays.copyOfRange(pages, firstPage, Math.ceilDiv(to, pageTokens)),
        valuesAt,
        to - from,
        start + from,
        positionsAt,
        keys,
        values,
        heads);
  }

  /** Numbers in a key as it is held. */
  int keySize(AttentionShape shape) {
    return keys == null ? shape.keySize() : keys.held();
  }

  /** Numbers in a value as it is held. */
  int valueSize(AttentionShape shape) {
    return values == null ? shape.valueSize() : values.held();
  }

  /** Offset of a token's key, in bytes. */
  long key(AttentionShape shape, int token) {
    return pages[token / pageTokens] + token % pageTokens * keyStride(shape);
  }

  /** Bytes from a token's key to that of the next in its page. */
  long keyStride(AttentionShape shape) {
    return heads * keyFormat.bytes(keySize(shape));
  }

  /** Offset of a token's value, in bytes. */
  long value(AttentionShape shape, int token) {
    return pages[token / pageTokens] + valuesAt + token % pageTokens * valueStride(shape);
  }

  /** Bytes from a token's value to that of the next in its page. */
  long valueStride(AttentionShape shape) {
    return valuesAt == IN_KEYS ? keyStride(shape) : heads * valueFormat.bytes(valueSize(shape));
  }

  /** Position of a token in the sequence. */
  public int position(int token) {
    return positionsAt < 0
        ? start + token
        : memory.get(INT, pages[token / pageTokens] + positionsAt + 4L * (token % pageTokens));
  }

  /** Number of tokens that stand before {@code position}. */
  public int before(long position) {
    if (positionsAt < 0) {
      return Math.clamp(position - start, 0, length);
    }
    int low = 0;
    int high = length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (position(middle) < position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** The first token that a query at {@code position} sees. */
  int firstVisible(AttentionShape shape, int position) {
    return shape.window() == 0 ? 0 : before(shape.first(position));
  }

  /** One past the last token that a query at {@code position} sees. */
  int endVisible(AttentionShape shape, int position) {
    if (shape.causal()) {
      return before((long) position + 1);
    }
    return shape.window() == 0 ? length : before(shape.end(position));
  }

  /** Tokens of all spans. */
  static int length(KvSpan[] spans) {
    int length = 0;
    for (KvSpan span : spans) {
      length += span.length;
    }
    return length;
  }
}
