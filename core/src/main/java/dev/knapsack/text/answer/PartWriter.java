package dev.knapsack.text.answer;

import dev.knapsack.generation.Event;
import dev.knapsack.message.Part;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A writer of parts: holds blanks back until it is known whether they stand between words, or
 * between a mark and a part, where they are none of it.
 */
final class PartWriter {
  /** Calls that the conversation has before this answer: identifiers differ within it. */
  private final int before;

  /** Calls that have begun. */
  private int calls;

  /** The call that has begun and not ended. */
  private Event.@Nullable CallBegins call;

  private final StringBuilder arguments = new StringBuilder();

  private final StringBuilder blanks = new StringBuilder();

  /** The kind of the last part, text at first; a mark after it makes it null. */
  private @Nullable Kind last = Kind.TEXT;

  private boolean said;

  private enum Kind {
    TEXT,
    REASONING
  }

  PartWriter(int callsBefore) {
    this.before = callsBefore;
  }

  /** Says whether text has been said. */
  boolean said() {
    return said;
  }

  void text(String piece, Consumer<Event> out) {
    write(piece, Kind.TEXT, out);
  }

  void reasoning(String piece, Consumer<Event> out) {
    write(piece, Kind.REASONING, out);
  }

  private void write(String piece, Kind kind, Consumer<Event> out) {
    int end = piece.length();
    while (end > 0 && Character.isWhitespace(piece.charAt(end - 1))) {
      end--;
    }
    if (end > 0) {
      int begin = 0;
      if (last != kind) {
        while (Character.isWhitespace(piece.charAt(begin))) {
          begin++;
        }
        blanks.setLength(0);
      }
      String all = blanks + piece.substring(begin, end);
      blanks.setLength(0);
      last = kind;
      said |= kind == Kind.TEXT;
      out.accept(kind == Kind.TEXT ? new Event.Text(all) : new Event.Reasoning(all));
    }
    blanks.append(piece, end, piece.length());
  }

  /** Takes note of a mark: the blanks before it are none of a part, nor those behind it. */
  void mark() {
    blanks.setLength(0);
    last = null;
  }

  /**
   * Begins a call; {@link #arguments} and {@link #endCall} follow.
   *
   * @param id null where the model wrote none
   */
  void beginCall(@Nullable String id, String name, Consumer<Event> out) {
    mark();
    String its = id == null ? String.format(Locale.ROOT, "call_%d", before + calls) : id;
    call = new Event.CallBegins(calls++, its, name);
    arguments.setLength(0);
    out.accept(call);
  }

  void arguments(String piece, Consumer<Event> out) {
    if (!piece.isEmpty()) {
      arguments.append(piece);
      out.accept(new Event.Arguments(calls - 1, piece));
    }
  }

  void endCall(Consumer<Event> out) {
    Event.CallBegins begun = Objects.requireNonNull(call);
    out.accept(
        new Event.Call(
            begun.index(), new Part.ToolCall(begun.id(), begun.name(), arguments.toString())));
    call = null;
  }

  /** Calls of which all has come. */
  void calls(List<Call> whole, Consumer<Event> out) {
    for (Call one : whole) {
      beginCall(one.id(), one.name(), out);
      arguments(StrictJson.write(one.arguments()), out);
      endCall(out);
    }
  }

  /** The end: blanks behind text are text, as those before it were. */
  void finish(Consumer<Event> out) {
    if (last == Kind.TEXT && !blanks.isEmpty()) {
      out.accept(new Event.Text(blanks.toString()));
    }
    blanks.setLength(0);
  }
}
