package dev.knapsack.text;

import java.util.List;

/**
 * Turns text into token ids and back, as the model was trained to.
 *
 * <p>Safe for use by many threads.
 */
public interface Tokenizer {
  int size();

  /**
   * The ids of a text.
   *
   * @param addSpecial put the beginning-of-sequence token first (and the end token last) where the
   *     model asks for it
   * @param parseSpecial read special tokens written in the text ({@code <|im_end|>}) as such;
   *     otherwise as plain text
   */
  int[] encode(String text, boolean addSpecial, boolean parseSpecial);

  /**
   * The bytes of one token: UTF-8, possibly a part of a character; of a control token none, unless
   * {@code special}.
   */
  byte[] bytes(int token, boolean special);

  /** The text of tokens; bytes that are no UTF-8 become U+FFFD. */
  String decode(int[] tokens, boolean special);

  /** The beginning-of-sequence token, or -1. */
  int bos();

  /** The end-of-sequence token, or -1. */
  int eos();

  /** Tokens that end an answer: end of sequence, end of turn, end of message. */
  List<Integer> endTokens();

  boolean isControl(int token);

  /** The token of exactly this text as the vocabulary writes it, or -1. */
  int find(String token);

  /** A new decoder of a stream of tokens that never emits a part of a character. */
  default StreamDecoder stream() {
    return new StreamDecoder(this);
  }
}
