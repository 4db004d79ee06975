package dev.knapsack.text;

import dev.knapsack.file.PackedTokens;
import dev.knapsack.file.TokenizerJson;
import java.util.BitSet;

/**
 * The tokens that the model of a {@code tokenizer.json} makes of text: not those that were only
 * added. Of text that may not steer it makes no special ones either, which are then in no way a
 * part of it.
 */
final class ModelTokens {
  private final TokenizerJson json;
  private final PackedTokens tokens;
  private final BitSet hidden = new BitSet();

  /**
   * The model's tokens.
   *
   * @param steers whether special tokens are among them
   */
  ModelTokens(TokenizerJson json, Vocabulary vocabulary, boolean steers) {
    this.json = json;
    tokens = json.tokens();
    for (TokenizerJson.Added added : json.added()) {
      boolean special = vocabulary.type(added.id()) == TokenType.CONTROL;
      if ((special && !steers) || !json.isModelToken(added.id())) {
        hidden.set(added.id());
      }
    }
  }

  boolean isHidden(int id) {
    return hidden.get(id);
  }

  int find(byte[] bytes, int from, int to) {
    return visible(tokens.find(bytes, from, to));
  }

  int find(int hash, byte[] bytes, int from, int to) {
    return visible(tokens.find(hash, bytes, from, to));
  }

  private int visible(int id) {
    return id >= 0 && hidden.get(id) ? -1 : id;
  }

  /** Bytes of the longest token. */
  int longest() {
    return tokens.longest();
  }

  /** The model's token of a name that the file gives, special or not; -1 if it has none. */
  int named(String text) {
    int id = tokens.find(text);
    return id >= 0 && json.isModelToken(id) ? id : -1;
  }

  /** The tokens of all bytes by value, -1 where there is none. */
  int[] bytes() {
    int[] bytes = new int[256];
    for (int b = 0; b < bytes.length; b++) {
      bytes[b] = named(ByteTokens.name(b));
    }
    return bytes;
  }
}
