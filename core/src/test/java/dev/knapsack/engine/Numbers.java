package dev.knapsack.engine;

import dev.knapsack.text.MarkedText;
import dev.knapsack.text.StreamDecoder;
import dev.knapsack.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.IntPredicate;

/** Writes tokens as numbers, but for one that it cannot. */
final class Numbers implements Tokenizer {
  static final int UNKNOWN = 210;

  @Override
  public int size() {
    return TinyModel.VOCABULARY;
  }

  @Override
  public int[] encode(MarkedText text, boolean addSpecial) {
    return new int[0];
  }

  @Override
  public long fewestTokens(long characters) {
    return 0;
  }

  @Override
  public byte[] bytes(int token, boolean special) {
    if (token == UNKNOWN) {
      throw new IllegalStateException("no such token");
    }
    return (token + " ").getBytes(StandardCharsets.US_ASCII);
  }

  @Override
  public StreamDecoder stream(int previous, IntPredicate shown) {
    return new StreamDecoder() {
      @Override
      public String next(int token) {
        return new String(bytes(token, shown.test(token)), StandardCharsets.UTF_8);
      }

      @Override
      public boolean hidesSpace() {
        return false;
      }

      @Override
      public String finish() {
        return "";
      }
    };
  }

  @Override
  public boolean joinsBytes() {
    return true;
  }

  @Override
  public int bos() {
    return -1;
  }

  @Override
  public int eos() {
    return -1;
  }

  @Override
  public List<Integer> endTokens() {
    return List.of();
  }

  @Override
  public boolean isControl(int token) {
    return false;
  }

  @Override
  public int find(String token) {
    return -1;
  }
}
