package dev.knapsack.error;

/**
 * A chat template that cannot be read, or that refuses the conversation it is given.
 *
 * <p>The message is the template's own where it refuses ({@code raise_exception}), the reference
 * implementation's where an expression fails, and names the limit where the template asks for too
 * much; {@link #line} and {@link #column} say where in the template.
 */
public final class TemplateException extends KnapsackException {
  /** Offset in the source; -1 where there is none to name. */
  private final int at;

  private final int line;
  private final int column;

  public TemplateException(String message) {
    this(message, -1);
  }

  /**
   * @param at offset in the source
   */
  public TemplateException(String message, int at) {
    super(Kind.FILE, message);
    this.at = at;
    this.line = 0;
    this.column = 0;
  }

  private TemplateException(String message, TemplateException cause, int at, int line, int column) {
    super(Kind.FILE, message, cause);
    this.at = at;
    this.line = line;
    this.column = column;
  }

  /** The line of the template's source, from 1; 0 where there is none to name. */
  public int line() {
    return line;
  }

  /** The character in that line, from 1; 0 where there is none to name. */
  public int column() {
    return column;
  }

  /** This exception with its line and column. */
  public TemplateException in(String source, int otherwise) {
    int offset = Math.min(at < 0 ? otherwise : at, source.length());
    if (offset < 0) {
      return this;
    }
    String before = source.substring(0, offset);
    int line = 1 + (int) before.chars().filter(c -> c == '\n').count();
    int column = offset - before.lastIndexOf('\n');
    return new TemplateException(String.valueOf(getMessage()), this, offset, line, column);
  }

  /**
   * This exception with the template's place before its message.
   *
   * @param place the file and the key in it; empty if they are not known, and then nothing is added
   */
  public TemplateException of(String place) {
    String where = line == 0 ? "" : ", line " + line + ", column " + column;
    String message = place.isEmpty() ? getMessage() : place + where + ": " + getMessage();
    return new TemplateException(String.valueOf(message), this, at, line, column);
  }
}
