package dev.knapsack.text.answer;

import dev.knapsack.message.Part;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A writer of parts: holds blanks back until it is known whether they stand between words, or
 * between a mark and a part, where they are none of it.
 */
final class PartWriter {
  /** Calls that the conversation has before this answer: identifiers differ within it. */
  private int count;

  private final StringBuilder blanks = new StringBuilder();

  /** The kind of the last part, text at first; a mark after it makes it null. */
  private @Nullable Kind last = Kind.TEXT;

  private boolean said;

  private enum Kind {
    TEXT,
    REASONING
  }

  PartWriter(int callsBefore) {
    this.count = callsBefore;
  }

  /** Says whether text has been said. */
  boolean said() {
    return said;
  }

  void text(String piece, Consumer<Part> out) {
    write(piece, Kind.TEXT, out);
  }

  void reasoning(String piece, Consumer<Part> out) {
    write(piece, Kind.REASONING, out);
  }

  private void write(String piece, Kind kind, Consumer<Part> out) {
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
      out.accept(kind == Kind.TEXT ? new Part.Text(all) : new Part.Reasoning(all));
    }
    blanks.append(piece, end, piece.length());
  }

  /** Takes note of a mark: the blanks before it are none of a part, nor those behind it. */
  void mark() {
    blanks.setLength(0);
    last = null;
  }

  void calls(List<Call> calls, Consumer<Part> out) {
    mark();
    for (Call call : calls) {
      String id = call.id() == null ? String.format(Locale.ROOT, "call_%d", count) : call.id();
      count++;
      out.accept(new Part.ToolCall(id, call.name(), StrictJson.write(call.arguments())));
    }
  }

  /** The end: blanks behind text are text, as those before it were. */
  void finish(Consumer<Part> out) {
    if (last == Kind.TEXT && !blanks.isEmpty()) {
      out.accept(new Part.Text(blanks.toString()));
    }
    blanks.setLength(0);
  }
}
