package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.PackedTokens;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * The longest token that the rest of a text begins with, again and again: as RWKV has it, whose
 * tokens are any bytes.
 *
 * <p>GGUF writes these tokens with escapes: {@code \n}, {@code \r}, {@code \t}, {@code \xE4} for a
 * byte that is no text, and a backslash before any other character stands for that character.
 */
final class LongestMatchModel implements TextModel {
  private final Vocabulary vocabulary;

  /** The bytes of each token that text becomes; none of those that steer. */
  private final PackedTokens tokens;

  private final int unknown;

  LongestMatchModel(Path file, Vocabulary vocabulary, int unknown) {
    this.vocabulary = vocabulary;
    this.unknown = unknown;
    List<byte[]> bytes = new ArrayList<>(vocabulary.size());
    for (int id = 0; id < vocabulary.size(); id++) {
      bytes.add(
          switch (vocabulary.type(id)) {
            case CONTROL, UNKNOWN, BYTE -> new byte[0];
            case UNDEFINED, NORMAL, USER_DEFINED, UNUSED ->
                unescape(file, id, vocabulary.bytes(id));
          });
    }
    this.tokens = PackedTokens.ofBytes(bytes);
  }

  private static byte[] unescape(Path file, int id, byte[] escaped) {
    ByteList bytes = new ByteList(escaped.length);
    for (int i = 0; i < escaped.length; i++) {
      if (escaped[i] != '\\') {
        bytes.add(escaped[i]);
        continue;
      }
      int kind = ++i < escaped.length ? escaped[i] : -1;
      switch (kind) {
        case 't' -> bytes.add('\t');
        case 'n' -> bytes.add('\n');
        case 'r' -> bytes.add('\r');
        case 'x' -> {
          if (i + 2 >= escaped.length
              || !HexFormat.isHexDigit(escaped[i + 1])
              || !HexFormat.isHexDigit(escaped[i + 2])) {
            throw wrong(file, id, escaped);
          }
          bytes.add(
              HexFormat.fromHexDigit(escaped[++i]) << 4 | HexFormat.fromHexDigit(escaped[++i]));
        }
        case -1 -> throw wrong(file, id, escaped);
        default -> bytes.add(kind);
      }
    }
    return bytes.toArray();
  }

  private static ModelFileException wrong(Path file, int id, byte[] escaped) {
    return new ModelFileException(
        file,
        "tokenizer.ggml.tokens",
        "token %d, '%s', has a backslash without what it stands for"
            .formatted(id, new String(escaped, StandardCharsets.UTF_8)));
  }

  @Override
  public boolean prefixesSpace() {
    return false;
  }

  @Override
  public boolean keepsAll() {
    byte[] one = new byte[1];
    for (int b = 0; b < 256; b++) {
      one[0] = (byte) b;
      if (tokens.find(one, 0, 1) < 0) {
        return unknown >= 0;
      }
    }
    return true;
  }

  @Override
  public byte[] piece(int token) {
    return tokens.length(token) > 0 ? tokens.bytes(token) : vocabulary.bytes(token);
  }

  @Override
  public Encoder encoder(String text) {
    return (from, to, first, into) -> {
      ByteList bytes = new ByteList(to - from);
      bytes.add(text, from, to);
      encode(bytes.array(), bytes.size(), into);
    };
  }

  private void encode(byte[] bytes, int end, IntList into) {
    int at = 0;
    while (at < end) {
      int hash = PackedTokens.hash();
      int token = -1;
      int next = at + 1;
      for (int i = at; i < Math.min(end, at + tokens.longest()); i++) {
        hash = PackedTokens.hash(hash, bytes[i]);
        int found = tokens.find(hash, bytes, at, i + 1);
        if (found >= 0) {
          token = found;
          next = i + 1;
        }
      }
      if (token >= 0 || unknown >= 0) {
        into.add(token >= 0 ? token : unknown);
      }
      at = next;
    }
  }
}
