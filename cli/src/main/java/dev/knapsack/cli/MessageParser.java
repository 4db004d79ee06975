package dev.knapsack.cli;

import java.util.List;
import org.jline.reader.CompletingParsedLine;
import org.jline.reader.EOFError;
import org.jline.reader.ParsedLine;
import org.jline.reader.Parser;
import org.jline.reader.SyntaxError;

/**
 * Decides when what was typed is a whole message: a line that ends with a backslash goes on, and a
 * message that starts with three quotes goes on until three quotes end it. Quotes and other
 * characters mean nothing else, as this is no shell.
 */
final class MessageParser implements Parser {
  private static final String FENCE = "\"\"\"";

  /** Says whether a message goes on on the next line. */
  static boolean isOpen(CharSequence typed) {
    String text = typed.toString().strip();
    if (text.startsWith(FENCE)) {
      return text.length() < 2 * FENCE.length() || !text.endsWith(FENCE);
    }
    return text.endsWith("\\") && !text.endsWith("\\\\");
  }

  /** The message that was typed, without the marks that let it go on. */
  static String message(String typed) {
    String text = typed.strip();
    if (text.startsWith(FENCE) && !isOpen(text)) {
      return text.substring(FENCE.length(), text.length() - FENCE.length()).strip();
    }
    return text.replace("\\\n", "\n");
  }

  @Override
  public ParsedLine parse(String line, int cursor, ParseContext context) throws SyntaxError {
    if (context == ParseContext.ACCEPT_LINE && isOpen(line)) {
      throw new EOFError(-1, cursor, "the message goes on");
    }
    return new Words(line, cursor);
  }

  /** A line whose only word is itself: there is nothing to complete. */
  private record Words(String line, int cursor) implements CompletingParsedLine {
    @Override
    public String word() {
      return line;
    }

    @Override
    public int wordCursor() {
      return cursor;
    }

    @Override
    public int wordIndex() {
      return 0;
    }

    @Override
    public List<String> words() {
      return List.of(line);
    }

    @Override
    public CharSequence escape(CharSequence candidate, boolean complete) {
      return candidate;
    }

    @Override
    public int rawWordCursor() {
      return cursor;
    }

    @Override
    public int rawWordLength() {
      return line.length();
    }
  }
}
