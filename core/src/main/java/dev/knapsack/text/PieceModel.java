package dev.knapsack.text;

import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.TokenizerJson;

/** The {@code model} of a {@code tokenizer.json}: turns the pieces of a text into tokens. */
sealed interface PieceModel permits BytePairs, Unigram, WholeWords, WordPieces {
  /**
   * An encoder with scratch space of its own; for one thread.
   *
   * @param steers whether all of the text may steer the model
   */
  Encoder encoder(boolean steers);

  /**
   * Says whether every character becomes a part of a token, or tokens.
   *
   * @param ofBytes whether pieces are bytes spelled in {@link ByteAlphabet}
   */
  boolean keepsAll(boolean ofBytes);

  /** Encodes pieces, none of them empty. */
  interface Encoder {
    void encode(String piece, IntList tokens);
  }

  static PieceModel read(TokenizerJson json, Vocabulary vocabulary) {
    Component component = new Component(json.file(), "model", json.model());
    ModelTokens tokens = new ModelTokens(json, vocabulary, false);
    ModelTokens steering = new ModelTokens(json, vocabulary, true);
    if (json.type().equals("Unigram") != (json.scores().length > 0)) {
      throw component.wrong(
          "vocab", "tokens have scores in a Unigram model alone, and this is " + json.type());
    }
    return switch (json.type()) {
      case "BPE" -> BytePairs.read(component, tokens, steering, json);
      case "Unigram" -> Unigram.read(component, tokens, steering, json.scores());
      case "WordPiece" -> new WordPieces(component, tokens, steering);
      case "WordLevel" -> new WholeWords(component, tokens, steering);
      default -> throw component.unknownType("BPE, Unigram, WordLevel, WordPiece");
    };
  }

  /**
   * The token for what is unknown.
   *
   * @param id the token, or -1 if the file names none that is in the vocabulary
   */
  record Unknown(int id, Component component) {
    /**
     * The token.
     *
     * @throws ModelFileException if there is none
     */
    int token(String piece) {
      if (id < 0) {
        JsonObject json = component.json();
        throw component.wrong(
            json.has("unk_id") ? "unk_id" : "unk_token",
            (json.get("unk_token") instanceof JsonPrimitive name
                    ? name + " is not in the vocabulary"
                    : "there is none")
                + ", and '"
                + (piece.length() > 40 ? piece.substring(0, 40) + "…" : piece)
                + "' has characters that are in no token");
      }
      return id;
    }
  }
}
