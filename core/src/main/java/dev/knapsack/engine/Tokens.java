package dev.knapsack.engine;

import java.util.Arrays;

/** A growing list of token ids, without boxes. */
final class Tokens {
  private int[] ids;
  private int size;

  Tokens(int capacity) {
    ids = new int[capacity];
  }

  int size() {
    return size;
  }

  int get(int index) {
    return ids[index];
  }

  void add(int token) {
    if (size == ids.length) {
      ids = Arrays.copyOf(ids, Math.max(16, 2 * size));
    }
    ids[size++] = token;
  }

  void addAll(int[] tokens) {
    if (size + tokens.length > ids.length) {
      ids = Arrays.copyOf(ids, Math.max(size + tokens.length, 2 * size));
    }
    System.arraycopy(tokens, 0, ids, size, tokens.length);
    size += tokens.length;
  }

  void truncate(int length) {
    size = Math.min(size, length);
  }

  int[] slice(int from, int to) {
    return Arrays.copyOfRange(ids, from, to);
  }

  /** The number of tokens that this list and {@code other} begin with in common. */
  int commonPrefix(int[] other) {
    int mismatch = Arrays.mismatch(ids, 0, size, other, 0, other.length);
    return mismatch < 0 ? size : mismatch;
  }
}
