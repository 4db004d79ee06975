package dev.knapsack.text;

import java.util.List;
import java.util.Objects;

/** The common part of tokenizers: a vocabulary, and what the model's file says of its tokens. */
abstract class AbstractTokenizer implements Tokenizer {
  final Vocabulary vocabulary;
  private final int bos;
  private final int eos;
  private final List<Integer> endTokens;
  private final List<String> notes;

  AbstractTokenizer(
      Vocabulary vocabulary, int bos, int eos, List<Integer> endTokens, List<String> notes) {
    this.vocabulary = vocabulary;
    this.bos = bos;
    this.eos = eos;
    this.endTokens = endTokens;
    this.notes = notes;
  }

  final TokenType type(int token) {
    return vocabulary.type(Objects.checkIndex(token, vocabulary.size()));
  }

  /** Says whether what follows a token goes on with its text; not if there is none before (-1). */
  final boolean isTextBefore(int previous) {
    return previous >= 0
        && switch (type(previous)) {
          case CONTROL, UNKNOWN, USER_DEFINED -> false;
          case UNDEFINED, NORMAL, UNUSED, BYTE -> true;
        };
  }

  @Override
  public final int size() {
    return vocabulary.size();
  }

  @Override
  public final int bos() {
    return bos;
  }

  @Override
  public final int eos() {
    return eos;
  }

  @Override
  public final List<Integer> endTokens() {
    return endTokens;
  }

  @Override
  public final List<String> notes() {
    return notes;
  }

  @Override
  public final boolean isControl(int token) {
    return type(token) == TokenType.CONTROL;
  }

  @Override
  public final int find(String token) {
    return vocabulary.find(token);
  }
}
