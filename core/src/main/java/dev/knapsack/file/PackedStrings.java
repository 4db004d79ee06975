package dev.knapsack.file;

import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.RandomAccess;

/**
 * Strings as one run of UTF-8 bytes and where each ends: an entry is decoded when it is read.
 *
 * <p>A vocabulary of n strings costs its bytes and 4·n more.
 */
final class PackedStrings extends AbstractList<String> implements RandomAccess {
  private final byte[] bytes;
  private final int[] ends;

  private PackedStrings(byte[] bytes, int[] ends) {
    this.bytes = bytes;
    this.ends = ends;
  }

  @Override
  public String get(int index) {
    int from = index == 0 ? 0 : ends[index - 1];
    return new String(bytes, from, ends[index] - from, StandardCharsets.UTF_8);
  }

  @Override
  public int size() {
    return ends.length;
  }

  /** Bytes of an entry. */
  int length(int index) {
    return ends[index] - (index == 0 ? 0 : ends[index - 1]);
  }

  /** All bytes, entry after entry. */
  byte[] bytes() {
    return bytes;
  }

  /** Collects strings; grows with what was really added. */
  static final class Builder {
    private byte[] bytes;
    private int[] ends;
    private int used;
    private int count;

    /** Starts with room for the expected number of strings, if that is not large. */
    Builder(long expected) {
      ends = new int[(int) Math.min(expected, 4096)];
      bytes = new byte[ends.length * 4];
    }

    void add(HeaderInput in, String field, int length) {
      reserve(length);
      in.bytes(field, bytes, used, length);
      close(length);
    }

    void add(String text) {
      byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
      reserve(encoded.length);
      System.arraycopy(encoded, 0, bytes, used, encoded.length);
      close(encoded.length);
    }

    PackedStrings build() {
      return new PackedStrings(Arrays.copyOf(bytes, used), Arrays.copyOf(ends, count));
    }

    private void reserve(int length) {
      if (bytes.length - used < length) {
        long wanted = Math.max(used + (long) length, used * 2L);
        bytes = Arrays.copyOf(bytes, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
      }
      if (count == ends.length) {
        ends = Arrays.copyOf(ends, Math.max(16, count * 2));
      }
    }

    private void close(int length) {
      used += length;
      ends[count++] = used;
    }
  }
}
