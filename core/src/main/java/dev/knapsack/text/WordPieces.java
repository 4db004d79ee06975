package dev.knapsack.text;

import java.nio.charset.StandardCharsets;

/**
 * WordPiece as {@code tokenizer.json} describes it: a piece is the longest token that it begins
 * with, then the longest that the rest begins with, and so on (Devlin et al., "BERT", 2019).
 */
final class WordPieces implements PieceModel {
  private final ModelTokens tokens;
  private final ModelTokens steering;
  private final Unknown unknown;

  /** The bytes before a token that does not begin a piece, as the vocabulary has it. */
  private final byte[] prefix;

  /** Longer pieces are unknown. */
  private final int mostCharacters;

  WordPieces(Component component, ModelTokens tokens, ModelTokens steering) {
    this.tokens = tokens;
    this.steering = steering;
    unknown = new Unknown(tokens.named(component.text("unk_token")), component);
    prefix = component.text("continuing_subword_prefix").getBytes(StandardCharsets.UTF_8);
    mostCharacters = component.count("max_input_chars_per_word");
  }

  /** A piece that is not known is one token, however long it is. */
  @Override
  public boolean keepsAll(boolean ofBytes) {
    return false;
  }

  @Override
  public Encoder encoder(boolean steers) {
    ModelTokens known = steers ? steering : tokens;
    ByteList bytes = new ByteList(64);
    ByteList part = new ByteList(64);
    return (piece, into) -> {
      bytes.clear();
      bytes.add(piece, 0, piece.length());
      int before = into.size();
      if (piece.codePointCount(0, piece.length()) > mostCharacters
          || !encode(known, bytes, part, into)) {
        into.truncate(before);
        into.add(unknown.token(piece));
      }
    };
  }

  private boolean encode(ModelTokens known, ByteList bytes, ByteList part, IntList into) {
    for (int from = 0; from < bytes.size(); ) {
      int lead = from == 0 ? 0 : prefix.length;
      part.clear();
      if (from > 0) {
        part.add(prefix);
      }
      int to = Math.min(bytes.size(), from + Math.max(0, tokens.longest() - lead));
      for (int i = from; i < to; i++) {
        part.add(bytes.array()[i]);
      }
      int token = -1;
      while (to > from && (token = known.find(part.array(), 0, lead + to - from)) < 0) {
        to--;
      }
      if (token < 0) {
        return false;
      }
      into.add(token);
      from = to;
    }
    return true;
  }
}
