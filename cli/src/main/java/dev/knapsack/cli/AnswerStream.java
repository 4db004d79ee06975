package dev.knapsack.cli;

import dev.knapsack.message.Part;
import java.io.PrintStream;

/**
 * Writes answers as they come, and a line break after each.
 *
 * <p>On a terminal, control characters of a model's answer are shown as U+FFFD: a model may have
 * read a text that makes it write sequences that the terminal would obey. In a file or pipe they
 * stay as they are.
 */
final class AnswerStream {
  private final PrintStream out;
  private final PrintStream notes;
  private final boolean terminal;
  private boolean lineOpen;
  private boolean leading;
  private boolean thinking;

  AnswerStream(PrintStream out, PrintStream notes, boolean terminal) {
    this.out = out;
    this.notes = notes;
    this.terminal = terminal;
  }

  /**
   * Begins an answer whose leading white space, which models put after their role marker, is not
   * shown.
   */
  void begin() {
    leading = true;
  }

  /** Writes a part: text and calls, a line each, as the answer; reasoning among the notes. */
  void write(Part part) {
    switch (part) {
      case Part.Text(String text) -> write(text);
      case Part.Reasoning(String text) -> {
        notes.print(terminal ? harmless(text) : text);
        notes.flush();
        thinking = true;
      }
      case Part.ToolCall _, Part.ToolResult _, Part.Media _ -> {
        end();
        write(MessageJson.write(part).toString());
        end();
      }
    }
  }

  private void write(String piece) {
    endThought();
    String text = leading ? piece.stripLeading() : piece;
    if (text.isEmpty()) {
      return;
    }
    leading = false;
    out.print(terminal ? harmless(text) : text);
    out.flush();
    lineOpen = text.charAt(text.length() - 1) != '\n';
  }

  /** Says whether nobody reads any more, as when the other end of a pipe has closed. */
  boolean isClosed() {
    return out.checkError();
  }

  /** Ends an answer: what follows starts on a new line. */
  void end() {
    endThought();
    if (lineOpen) {
      out.print('\n');
      out.flush();
      lineOpen = false;
    }
  }

  private void endThought() {
    if (thinking) {
      notes.print("\n\n");
      notes.flush();
      thinking = false;
    }
  }

  private static String harmless(String text) {
    StringBuilder result = null;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isISOControl(c) && c != '\n' && c != '\t') {
        if (result == null) {
          result = new StringBuilder(text);
        }
        result.setCharAt(i, '\ufffd');
      }
    }
    return result == null ? text : result.toString();
  }
}
