package dev.knapsack.eval;

import java.util.Arrays;

/**
 * A question whose exact answer is known.
 *
 * @param id its name in reports
 * @param prompt the whole prompt with the model's own markers, up to where the answer begins
 * @param answer the exact answer, without blanks around it
 * @param kind what it asks for; empty if it does not matter
 * @param split where in the prompt the question begins, in UTF-16 units: what stands before can be
 *     read before it is asked; -1 if that is not known
 * @param conversation questions of one conversation are asked one after the other of what all of
 *     them begin with; empty for a question of its own
 * @param depth where in the prompt that stands which is asked for, in percent; -1 if that is not
 *     known
 * @param match when an output is the answer
 */
public record Question(
    String id,
    String prompt,
    String answer,
    String kind,
    int split,
    String conversation,
    int depth,
    Match match) {
  /** The rule by which an output is the answer. */
  public enum Match {
    /** The output is that, to the letter, but for blanks around it. */
    EXACT,
    /** The output contains each word of it. */
    CONTAINED
  }

  /** A question that is one with its prompt. */
  public Question(String id, String prompt, String answer, String kind) {
    this(id, prompt, answer, kind, -1, "", -1, Match.EXACT);
  }

  /** Says whether this output answers it. */
  boolean answeredBy(String output) {
    return switch (match) {
      case EXACT -> output.strip().equals(answer);
      case CONTAINED -> Arrays.stream(answer.split(" ", -1)).allMatch(output::contains);
    };
  }
}
