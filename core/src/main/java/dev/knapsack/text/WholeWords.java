package dev.knapsack.text;

/** A model in which a piece is a token, or unknown: {@code WordLevel}. */
final class WholeWords implements PieceModel {
  private final ModelTokens tokens;
  private final ModelTokens steering;
  private final Unknown unknown;

  WholeWords(Component component, ModelTokens tokens, ModelTokens steering) {
    this.tokens = tokens;
    this.steering = steering;
    unknown = new Unknown(tokens.named(component.text("unk_token")), component);
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
    return (piece, into) -> {
      bytes.clear();
      bytes.add(piece, 0, piece.length());
      int token = known.find(bytes.array(), 0, bytes.size());
      into.add(token >= 0 ? token : unknown.token(piece));
    };
  }
}
