package dev.knapsack.generation;

import dev.knapsack.message.Part;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/**
 * Something that happens to an answer.
 *
 * <p>For each token there is a {@link Token}, and a {@link Text} when its characters, or those of
 * tokens before it, are complete and no stop string can begin with them. The last two events are
 * the {@link Usage}, and an {@link End} or a {@link Failure}.
 */
public sealed interface Event
    permits Event.Text,
        Event.Reasoning,
        Event.CallBegins,
        Event.Arguments,
        Event.Call,
        Event.Token,
        Event.End,
        Event.Failure,
        Usage {
  /** The pieces of text among an answer's events; a {@link Failure} is thrown. */
  static Stream<String> texts(Stream<Event> events) {
    return events.mapMulti((event, pieces) -> {
      switch (event) {
        case Text(String piece) -> pieces.accept(piece);
        case Failure failure -> throw failure.thrown();
        case Reasoning _, CallBegins _, Arguments _, Call _, Token _, End _, Usage _ -> {}
      }
    });
  }

  /** A piece of the answer's text, of whole characters. */
  record Text(String text) implements Event {}

  /** A piece of what the model thinks before it answers, where its template tells the two apart. */
  record Reasoning(String text) implements Event {}

  /**
   * The beginning of a call of a tool, where the model's template says what is one. Its {@link
   * Arguments} follow, one piece or more, then the {@link Call}; nothing else comes between but
   * tokens.
   *
   * @param index the number of the call in the answer, from 0
   * @param id what the result is to refer to, unlike that of every other call of the conversation
   * @param name of the tool
   */
  record CallBegins(int index, String id, String name) implements Event {}

  /** A piece of the arguments of the call that has begun, as the model writes them. */
  record Arguments(int index, String piece) implements Event {}

  /**
   * The end of a call, and all of it: its arguments are the pieces, one after the other. They are a
   * JSON object, unless the answer ended before they did or the model made a mistake in them.
   */
  record Call(int index, Part.ToolCall call) implements Event {}

  /**
   * A token of the answer; the one that ended it is none.
   *
   * @param id its number in the vocabulary
   * @param logProbability of the token in the model's own distribution, before any bias, penalty,
   *     cut or temperature; empty where the request did not ask for it
   * @param alternatives the likeliest tokens in its place, itself included if it is one of them, as
   *     many as were asked for, the likeliest first
   */
  record Token(int id, OptionalDouble logProbability, List<Alternative> alternatives)
      implements Event {
    /** A token of which no more was asked for. */
    public static Token of(int id) {
      return new Token(id, OptionalDouble.empty(), List.of());
    }
  }

  /**
   * A token that could have been chosen.
   *
   * @param logProbability in the same distribution as a {@link Token}'s
   */
  record Alternative(int id, double logProbability) {}

  /** The end of an answer, with nothing after it. */
  record End(FinishReason reason) implements Event {}

  /** The end of an answer that something went wrong with; what came before is still part of it. */
  record Failure(Throwable problem) implements Event {
    /** The problem as an exception to throw; an error is thrown at once. */
    public RuntimeException thrown() {
      return switch (problem) {
        case RuntimeException e -> e;
        case Error e -> throw e;
        default -> new IllegalStateException(problem);
      };
    }
  }
}
