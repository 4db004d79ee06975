package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import java.util.function.Consumer;

/**
 * A reader of an answer's text, piece by piece, that gives its parts in pieces, as soon as it is
 * certain what they are: text, reasoning, and calls.
 *
 * <p>A call begins when its tool is known to be one of those that there are and the first key of
 * its arguments has begun, where the family writes these as JSON; from then on it stays a call. If
 * the answer ends before the arguments do, they end there; if they go on as no JSON does, they are
 * all that is written before the mark behind the call, or the end. In all other cases a call is
 * given once all of it has come. What else is not written as the family writes it is text.
 *
 * <p>The parts do not depend on where the text is cut. Nothing is lost but the marks, the blanks
 * around them and what a call has beside its identifier, name and arguments; nothing is thrown. For
 * one thread.
 */
public interface AnswerReader {
  /** Reads on. */
  void next(String piece, Consumer<Event> parts);

  /** Reads the end: what waited for more is given. */
  void finish(Consumer<Event> parts);
}
