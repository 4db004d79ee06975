package dev.knapsack.text;

import java.util.List;
import java.util.function.IntPredicate;

/**
 * A tokenizer of a vocabulary: takes special tokens out of a text and gives the rest to a model.
 */
final class VocabularyTokenizer extends AbstractTokenizer {
  private final TextModel model;
  private final SpecialTokens specialTokens;
  private final int first;
  private final int last;

  /**
   * Puts the parts together.
   *
   * @param first the token that the model wants before a text, or -1
   * @param last the token that the model wants after a text, or -1
   */
  VocabularyTokenizer(
      Vocabulary vocabulary,
      TextModel model,
      SpecialTokens specialTokens,
      int bos,
      int eos,
      int first,
      int last,
      List<Integer> endTokens,
      List<String> notes) {
    super(vocabulary, bos, eos, endTokens, notes);
    this.model = model;
    this.specialTokens = specialTokens;
    this.first = first;
    this.last = last;
  }

  @Override
  public int[] encode(MarkedText text, boolean addSpecial) {
    IntList tokens = new IntList();
    if (addSpecial && first >= 0) {
      tokens.add(first);
    }
    TextModel.Encoder encoder = model.encoder(text.text());
    specialTokens.partition(
        text.text(),
        text::isControl,
        new SpecialTokens.Sink() {
          private boolean afterSpecial = true;
          private boolean begun;

          @Override
          public void text(int from, int to) {
            encoder.encode(from, to, afterSpecial, tokens);
            afterSpecial = false;
            begun = true;
          }

          @Override
          public void token(int token) {
            // The text says itself that it begins: twice would be what no model has seen.
            if (!(addSpecial && token == first && !begun)) {
              tokens.add(token);
            }
            begun = true;
            afterSpecial = true;
          }
        });
    if (addSpecial && last >= 0) {
      tokens.add(last);
    }
    return tokens.toArray();
  }

  @Override
  public long fewestTokens(long characters) {
    // A character is a byte of UTF-8 at the least, and so is its spelling in the vocabulary.
    return model.keepsAll() && !specialTokens.swallowBlanks()
        ? Math.ceilDiv(characters, Math.max(1, vocabulary.longest()))
        : 0;
  }

  @Override
  public boolean joinsBytes() {
    return true;
  }

  @Override
  public byte[] bytes(int token, boolean special) {
    return switch (type(token)) {
      case CONTROL, UNKNOWN -> special ? vocabulary.bytes(token) : new byte[0];
      case USER_DEFINED -> vocabulary.bytes(token);
      case UNDEFINED, NORMAL, UNUSED, BYTE -> model.piece(token);
    };
  }

  @Override
  public StreamDecoder stream(int previous, IntPredicate shown) {
    return new BytesDecoder(this, previous, shown);
  }

  /**
   * Says whether a space with which a token begins is no part of the text when the token follows
   * {@code previous}, or begins the text (-1): some models put a space before each text.
   */
  boolean hidesSpaceAfter(int previous) {
    return model.prefixesSpace() && !isTextBefore(previous);
  }
}
