package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.PackedTokens;
import dev.knapsack.file.TokenizerJson;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** The tokens of a model: text, type and score by id, and the id by text. */
final class Vocabulary {
  private static final String TOKENS = "tokenizer.ggml.tokens";
  private static final String TYPES = "tokenizer.ggml.token_type";
  private static final String SCORES = "tokenizer.ggml.scores";

  private final PackedTokens tokens;
  private final byte[] types;
  private final float[] scores;

  private Vocabulary(PackedTokens tokens, byte[] types, float[] scores) {
    this.tokens = tokens;
    this.types = types;
    this.scores = scores;
  }

  /** Reads the vocabulary; scores only where they are needed. */
  static Vocabulary read(Metadata metadata, Path file, boolean withScores) {
    List<String> tokens = metadata.strings(TOKENS);
    int size = withoutPadding(tokens, metadata);
    if (size == 0) {
      throw new ModelFileException(file, TOKENS, "the vocabulary is empty");
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
    return new Vocabulary(PackedTokens.of(tokens), types, scores);
  }

  /** The vocabulary of a {@code tokenizer.json}. */
  static Vocabulary of(TokenizerJson json) {
    PackedTokens tokens = json.tokens();
    byte[] types = new byte[tokens.size()];
    for (int id = 0; id < types.length; id++) {
      types[id] = (tokens.length(id) == 0 ? TokenType.UNUSED : TokenType.NORMAL).number();
    }
    for (TokenizerJson.Added token : json.added()) {
      types[token.id()] = (token.special() ? TokenType.CONTROL : TokenType.USER_DEFINED).number();
    }
    return new Vocabulary(tokens, types, new float[0]);
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
    return tokens.longest();
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
    return tokens.bytes(id);
  }

  String text(int id) {
    return tokens.text(id);
  }

  int find(String text) {
    return tokens.find(text);
  }

  /** The token whose text is these bytes, or -1. */
  int find(byte[] bytes, int from, int to) {
    return tokens.find(bytes, from, to);
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
}
