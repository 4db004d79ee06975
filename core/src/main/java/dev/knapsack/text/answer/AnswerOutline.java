package dev.knapsack.text.answer;

import java.util.List;
import java.util.Optional;

/**
 * The form of answers that a template shows, for who is to say what an answer may be.
 *
 * @param open the mark before reasoning; empty where the model writes none
 * @param close the mark behind it
 * @param begun whether the prompt ends within reasoning
 * @param calls the form of calls; empty where the template shows none
 * @param marks all that begins a call, where it stands in text
 * @param tokens of the marks that a vocabulary may have as control tokens
 */
public record AnswerOutline(
    String open,
    String close,
    boolean begun,
    Optional<CallForm> calls,
    List<String> marks,
    List<String> tokens) {
  public AnswerOutline {
    marks = List.copyOf(marks);
    tokens = List.copyOf(tokens);
  }
}
