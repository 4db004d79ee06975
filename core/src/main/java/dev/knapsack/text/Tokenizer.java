package dev.knapsack.text;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * Turns text into token ids and back, as the model was trained to.
 *
 * <p>Safe for use by many threads.
 */
public interface Tokenizer {
  int size();

  /**
   * The ids of a text; special tokens ({@code <|im_end|>}) are read as such where all of their
   * characters {@linkplain MarkedText#isControl may be}.
   *
   * @param addSpecial put the beginning-of-sequence token first, unless the text itself begins with
   *     it, and the end token last, where the model asks for them
   */
  int[] encode(MarkedText text, boolean addSpecial);

  /**
   * The ids of a text of one origin.
   *
   * @param parseSpecial read special tokens written in the text as such; otherwise as plain text
   */
  default int[] encode(String text, boolean addSpecial, boolean parseSpecial) {
    return encode(parseSpecial ? MarkedText.control(text) : MarkedText.input(text), addSpecial);
  }

  /**
   * The fewest tokens that {@link #encode} makes of any text of so many characters (UTF-16 units):
   * as many as if it were the longest token over and over. 0 where a text may vanish, as blanks do
   * in some vocabularies. Says without encoding that a text is too long.
   */
  long fewestTokens(long characters);

  /**
   * The bytes of one token: UTF-8, possibly a part of a character; of a control token none, unless
   * {@code special}.
   */
  byte[] bytes(int token, boolean special);

  /**
   * The text of tokens from its beginning; bytes that are no UTF-8 become U+FFFD.
   *
   * @param special write control tokens as the vocabulary does; otherwise leave them out
   */
  default String decode(int[] tokens, boolean special) {
    StreamDecoder decoder = stream(-1, _ -> special);
    StringBuilder text = new StringBuilder();
    for (int token : tokens) {
      text.append(decoder.next(token));
    }
    return text.append(decoder.finish()).toString();
  }

  /**
   * Says whether the text of tokens is the bytes of one after those of another, but for a space
   * that a {@linkplain StreamDecoder#hidesSpace decoder hides}: so it is of all that write answers.
   */
  boolean joinsBytes();

  /** The beginning-of-sequence token, or -1. */
  int bos();

  /** The end-of-sequence token, or -1. */
  int eos();

  /** Tokens that end an answer: end of sequence, end of turn, end of message. */
  List<Integer> endTokens();

  boolean isControl(int token);

  /** Sentences on what the model's file says of its tokens that is not so. */
  default List<String> notes() {
    return List.of();
  }

  /** The token of exactly this text as the vocabulary writes it, or -1. */
  int find(String token);

  /**
   * A decoder of a stream of tokens that never emits a part of a character.
   *
   * @param previous the token before the stream, the last of the prompt; -1 if there is none
   * @param shown control tokens that are written, as the vocabulary does; others are left out
   */
  StreamDecoder stream(int previous, IntPredicate shown);

  /**
   * The tokenizer of a model.
   *
   * @throws ModelFileException if the file has none, or one that is damaged or not supported
   */
  static Tokenizer of(ModelFile file) {
    return Tokenizers.of(file);
  }
}
