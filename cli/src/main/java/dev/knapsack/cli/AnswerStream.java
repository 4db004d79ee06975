package dev.knapsack.cli;

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
  private final boolean terminal;
  private boolean lineOpen;

  AnswerStream(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  void write(String text) {
    if (text.isEmpty()) {
      return;
    }
    out.print(terminal ? harmless(text) : text);
    out.flush();
    lineOpen = text.charAt(text.length() - 1) != '\n';
  }

  /** Ends an answer: what follows starts on a new line. */
  void end() {
    if (lineOpen) {
      out.print('\n');
      out.flush();
      lineOpen = false;
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
