package dev.knapsack.text;

import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFileException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * The tokens of a model: text, type and score by id, and the id by text.
 *
 * <p>All texts lie in one array, and the index is an open hash table of ids: 200,000 tokens cost
 * about 4 MB of heap, where a map of strings would cost 30.
 */
final class Vocabulary {
  private static final String TOKENS = "tokenizer.ggml.tokens";
  private static final String TYPES = "tokenizer.ggml.token_type";
  private static final String SCORES = "tokenizer.ggml.scores";

  private final byte[] texts;
  private final int[] starts;
  private final byte[] types;
  private final float[] scores;
  private final int[] table;
  private final int longest;

  private Vocabulary(byte[] texts, int[] starts, byte[] types, float[] scores) {
    this.texts = texts;
    this.starts = starts;
    this.types = types;
    this.scores = scores;
    int size = starts.length - 1;
    table = new int[Integer.highestOneBit(Math.max(8, size + size / 4)) * 2];
    Arrays.fill(table, -1);
    int max = 0;
    for (int id = 0; id < size; id++) {
      int length = starts[id + 1] - starts[id];
      max = Math.max(max, length);
      if (length > 0) {
        int slot = slot(texts, starts[id], starts[id + 1]);
        // Of tokens with the same text, the first is the one that text turns into.
        if (table[slot] < 0) {
          table[slot] = id;
        }
      }
    }
    longest = max;
  }

  /** Reads the vocabulary; scores only where they are needed. */
  static Vocabulary read(Metadata metadata, Path file, boolean withScores) {
    List<String> tokens = metadata.strings(TOKENS);
    int size = withoutPadding(tokens, metadata);
    if (size == 0) {
      throw new ModelFileException(file, TOKENS, "the vocabulary is empty");
    }
    int[] starts = new int[size + 1];
    ByteList texts = new ByteList((int) Math.min(1L << 20, size * 8L));
    for (int id = 0; id < size; id++) {
      String token = tokens.get(id);
      texts.add(token, 0, token.length());
      starts[id + 1] = texts.size();
    }
    byte[] types = new byte[size];
    Arrays.fill(types, TokenType.NORMAL.number());
    if (metadata.has(TYPES)) {
      long[] numbers = metadata.integers(TYPES);
      requireOneEach(file, TYPES, numbers.length, size);
      for (int id = 0; id < size; id++) {
        types[id] = TokenType.of(numbers[id]).number();
      }
    }
    float[] scores = new float[0];
    if (withScores) {
      scores = metadata.reals(SCORES);
      requireOneEach(file, SCORES, scores.length, size);
    }
    return new Vocabulary(texts.toArray(), starts, types, scores);
  }

  /** Tokens up to those that only fill the vocabulary up to the rows of the embedding. */
  private static int withoutPadding(List<String> tokens, Metadata metadata) {
    int size = tokens.size();
    long[] types = metadata.has(TYPES) ? metadata.integers(TYPES) : new long[0];
    while (size > 1
        && size <= types.length
        && types[size - 1] == TokenType.UNUSED.number()
        && tokens.get(size - 1).equals("[PAD" + (size - 1) + "]")) {
      size--;
    }
    return size;
  }

  private static void requireOneEach(Path file, String key, int entries, int size) {
    if (entries < size) {
      throw new ModelFileException(
          file, key, "has " + entries + " entries for " + size + " tokens; needs one for each");
    }
  }

  int size() {
    return types.length;
  }

  /** Bytes of the longest token. */
  int longest() {
    return longest;
  }

  TokenType type(int id) {
    return TokenType.of(types[id]);
  }

  void type(int id, TokenType type) {
    types[id] = type.number();
  }

  float score(int id) {
    return scores[id];
  }

  /** The text of a token as the vocabulary writes it, in UTF-8. */
  byte[] bytes(int id) {
    return Arrays.copyOfRange(texts, starts[id], starts[id + 1]);
  }

  String text(int id) {
    return new String(texts, starts[id], starts[id + 1] - starts[id], StandardCharsets.UTF_8);
  }

  int find(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return find(bytes, 0, bytes.length);
  }

  /** The token whose text is these bytes, or -1. */
  int find(byte[] bytes, int from, int to) {
    return to - from > longest ? -1 : table[slot(bytes, from, to)];
  }

  /**
   * The token that text of these bytes becomes, or -1. Text becomes a token that steers by being
   * found as one and in no other way, whatever its pieces would add up to.
   */
  int findText(byte[] bytes, int from, int to) {
    int token = find(bytes, from, to);
    return token < 0
        ? token
        : switch (type(token)) {
          case CONTROL, UNKNOWN, BYTE -> -1;
          case UNDEFINED, NORMAL, USER_DEFINED, UNUSED -> token;
        };
  }

  private int slot(byte[] bytes, int from, int to) {
    int hash = 0x811C9DC5;
    for (int i = from; i < to; i++) {
      hash = (hash ^ bytes[i]) * 0x01000193;
    }
    int mask = table.length - 1;
    int slot = (((hash ^ (hash >>> 15)) * 0x2C1B3C6D) >>> 7) & mask;
    while (table[slot] >= 0) {
      int id = table[slot];
      if (Arrays.equals(texts, starts[id], starts[id + 1], bytes, from, to)) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
