package dev.knapsack.text;

/**
 * Decodes tokens one at a time; what is not certain yet, such as the bytes of an unfinished
 * character, waits for the rest of it.
 *
 * <p>What {@link #next} and at last {@link #finish} return makes, put together, the text that
 * {@link Tokenizer#decode} gives for all the tokens at once. For one thread.
 */
public interface StreamDecoder {
  /** The text that this token completes, possibly empty. */
  String next(int token);

  /**
   * Says whether a space with which the next token begins is no part of the text, since some
   * vocabularies put one before each text.
   */
  boolean hidesSpace();

  /** The text that is left at the end: an unfinished character becomes U+FFFD. */
  String finish();
}
