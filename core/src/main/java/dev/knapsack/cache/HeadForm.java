package dev.knapsack.cache;

import dev.knapsack.kernel.KvSpan;
import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;

/**
 * The form in which tokens of one head are stored, and their pages laid out.
 *
 * @param keyFormat format of keys
 * @param valueFormat format of values
 * @param keySize numbers in a key
 * @param valueSize numbers in a value
 * @param pageTokens tokens in a page
 * @param positions whether a page says of each of its tokens where it stands, because tokens
 *     between others may be forgotten
 * @param inKeys whether a value is the first numbers of its key, and not stored beside it
 */
public record HeadForm(
    Format keyFormat,
    Format valueFormat,
    int keySize,
    int valueSize,
    int pageTokens,
    boolean positions,
    boolean inKeys) {
  HeadForm(Format keyFormat, Format valueFormat, int keySize, int valueSize, int pageTokens) {
    this(keyFormat, valueFormat, keySize, valueSize, pageTokens, false, false);
  }

  long keyBytes() {
    return keyFormat.bytes(keySize);
  }

  /** Numbers of a value that are stored beside its key. */
  public int besideKey() {
    return inKeys ? 0 : valueSize;
  }

  /** Bytes of those. */
  long valueBytes() {
    return valueFormat.bytes(besideKey());
  }

  /** Bytes of a token: of its key, and of its value if that is stored beside it. */
  public long tokenBytes() {
    return keyBytes() + valueBytes();
  }

  /** The beginning of values in a page. */
  long valuesAt() {
    return inKeys ? KvSpan.IN_KEYS : keyBytes() * pageTokens;
  }

  /** The place of a token's key in its page. */
  long key(int slot) {
    return slot * keyBytes();
  }

  /** The place of its value. */
  long value(int slot) {
    return inKeys ? key(slot) : valuesAt() + slot * valueBytes();
  }

  /** The beginning of positions in a page: of each of its tokens in the sequence. */
  long positionsAt() {
    return tokenBytes() * pageTokens;
  }

  /** The place of a token's position. */
  long position(int slot) {
    return positionsAt() + (long) slot * Integer.BYTES;
  }

  /** Pages that so many tokens take. */
  int pages(int tokens) {
    return Math.ceilDiv(tokens, pageTokens);
  }

  long pageBytes() {
    return positionsAt() + (positions ? (long) Integer.BYTES * pageTokens : 0);
  }

  /** Copies a token out of the page at {@code page}: its key, then its value. */
  void copyOut(MemorySegment pages, long page, int slot, MemorySegment into, long at) {
    MemorySegment.copy(pages, page + key(slot), into, at, keyBytes());
    MemorySegment.copy(pages, page + value(slot), into, at + keyBytes(), valueBytes());
  }

  /** Copies a token in, as {@link #copyOut} gave it. */
  void copyIn(MemorySegment from, long at, MemorySegment pages, long page, int slot) {
    MemorySegment.copy(from, at, pages, page + key(slot), keyBytes());
    MemorySegment.copy(from, at + keyBytes(), pages, page + value(slot), valueBytes());
  }
}
