package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.Metadata;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * The merges of byte pair encoding: which two tokens become which one, and in what order.
 *
 * <p>Packed: three ints a merge and an open hash table of ranks (280,000 merges: 5.5 MB).
 */
final class Merges {
  private static final String KEY = "tokenizer.ggml.merges";

  private final int[] left;
  private final int[] right;
  private final int[] result;
  private final int[] table;

  private Merges(int[] left, int[] right, int[] result) {
    this.left = left;
    this.right = right;
    this.result = result;
    table = new int[Integer.highestOneBit(Math.max(8, left.length + left.length / 4)) * 2];
    Arrays.fill(table, -1);
  }

  /** Of merges of the same two tokens, the first is the one that counts. */
  private Merges firstCounts() {
    for (int rank = 0; rank < left.length; rank++) {
      put(rank);
    }
    return this;
  }

  private void put(int rank) {
    int slot = slot(left[rank], right[rank]);
    if (table[slot] < 0) {
      table[slot] = rank;
    }
  }

  /**
   * The merges of a {@code tokenizer.json}: of those of the same two tokens the last counts.
   *
   * @param result the tokens that they make, by rank
   */
  static Merges of(int[] left, int[] right, int[] result) {
    Merges merges = new Merges(left, right, result);
    for (int rank = left.length - 1; rank >= 0; rank--) {
      merges.put(rank);
    }
    return merges;
  }

  static Merges read(Metadata metadata, Path file, Vocabulary vocabulary) {
    if (!metadata.has(KEY)) {
      throw new ModelFileException(
          file, KEY, "is missing, and byte pair encoding cannot work without its merges");
    }
    List<String> merges = metadata.strings(KEY);
    int[] left = new int[merges.size()];
    int[] right = new int[merges.size()];
    int[] result = new int[merges.size()];
    ByteList text = new ByteList(64);
    for (int rank = 0; rank < left.length; rank++) {
      String merge = merges.get(rank);
      // The first token may itself begin with a space, the separator.
      int space = merge.indexOf(' ', 1);
      if (space < 0 || space == merge.length() - 1) {
        throw new ModelFileException(
            file, KEY, "entry " + rank + " '" + merge + "' is not two tokens with a space between");
      }
      text.clear();
      text.add(merge, 0, space);
      int middle = text.size();
      text.add(merge, space + 1, merge.length());
      left[rank] = vocabulary.find(text.array(), 0, middle);
      right[rank] = vocabulary.find(text.array(), middle, text.size());
      result[rank] = vocabulary.find(text.array(), 0, text.size());
      if (left[rank] < 0 || right[rank] < 0 || result[rank] < 0) {
        throw new ModelFileException(
            file,
            KEY,
            "entry "
                + rank
                + " '"
                + merge
                + "' joins or makes a token that the vocabulary does not have");
      }
    }
    return new Merges(left, right, result).firstCounts();
  }

  /** The rank of merging two tokens, or {@link PairMerging#NEVER}. */
  int rank(int leftToken, int rightToken) {
    int rank = table[slot(leftToken, rightToken)];
    return rank < 0 ? PairMerging.NEVER : rank;
  }

  /** The token that a merge makes. */
  int result(int rank) {
    return result[rank];
  }

  private int slot(int leftToken, int rightToken) {
    int hash = ((leftToken * 0x9E3779B1) ^ rightToken) * 0x85EBCA6B;
    int mask = table.length - 1;
    int slot = (hash ^ (hash >>> 15)) & mask;
    while (table[slot] >= 0) {
      int rank = table[slot];
      if (left[rank] == leftToken && right[rank] == rightToken) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
