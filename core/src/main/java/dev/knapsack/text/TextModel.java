package dev.knapsack.text;

/**
 * One way of turning plain text into tokens: byte pair encoding, SentencePiece, WordPiece, the
 * longest match, or the greatest score.
 *
 * <p>Special tokens have been taken out of the text before it comes here.
 */
sealed interface TextModel
    permits BytePairModel,
        GreatestScoreModel,
        LongestMatchModel,
        SentencePieceModel,
        WordPieceModel {
  /** An encoder of stretches of one text; for one thread. */
  Encoder encoder(String text);

  /** The bytes of text that a token of type NORMAL, UNUSED, UNDEFINED or BYTE stands for. */
  byte[] piece(int token);

  /**
   * Says whether {@link #encoder} writes a space before text that follows nothing or a special
   * token.
   */
  boolean prefixesSpace();

  /** Says whether no character is left out: each becomes a part of a token, or tokens. */
  boolean keepsAll();

  /** Encodes stretches of one text. */
  interface Encoder {
    /**
     * Adds the tokens of characters {@code from} (inclusive) to {@code to}.
     *
     * @param first whether nothing or a special token stands before them
     */
    void encode(int from, int to, boolean first, IntList tokens);
  }
}
