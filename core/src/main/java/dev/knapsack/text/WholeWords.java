package dev.knapsack.text;

/** A model in which a piece is a token, or unknown: {@code WordLevel}. */
final class WholeWords implements PieceModel {
  private final ModelTokens tokens;
  private final Unknown unknown;

  private WholeWords(Component component, ModelTokens tokens) {
    this.tokens = tokens;
    unknown = new Unknown(tokens.named(component.text("unk_token")), component);
  }

  static WholeWords read(Component component, ModelTokens tokens) {
    return new WholeWords(component, tokens);
  }

  /** A piece that is not known is one token, however long it is. */
  @Override
  public boolean keepsAll(boolean ofBytes) {
    return false;
  }

  @Override
  public Encoder encoder() {
    ByteList bytes = new ByteList(64);
    return (piece, into) -> {
      bytes.clear();
      bytes.add(piece, 0, piece.length());
      int token = tokens.find(bytes.array(), 0, bytes.size());
      into.add(token >= 0 ? token : unknown.token(piece));
    };
  }
}
