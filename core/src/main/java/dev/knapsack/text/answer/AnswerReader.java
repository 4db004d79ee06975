package dev.knapsack.text.answer;

import dev.knapsack.message.Part;
import java.util.function.Consumer;

/**
 * A reader of an answer's text, piece by piece, that gives its parts: text and reasoning in pieces,
 * as soon as it is certain what they are, and calls whole.
 *
 * <p>The parts do not depend on where the text is cut. What is not written as the family writes it
 * is text; nothing is lost but the marks and the blanks around them, and nothing thrown. For one
 * thread.
 */
public interface AnswerReader {
  /** Reads on. */
  void next(String piece, Consumer<Part> parts);

  /** Reads the end: what waited for more is given. */
  void finish(Consumer<Part> parts);
}
