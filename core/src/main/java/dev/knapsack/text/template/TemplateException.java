package dev.knapsack.text.template;

/**
 * A chat template that cannot be read, or that refuses the conversation it is given.
 *
 * <p>The message is the template's own where it refuses ({@code raise_exception}), the reference
 * implementation's where an expression fails, and names the limit where the template asks for too
 * much; {@link #line} says where in the template.
 */
public final class TemplateException extends RuntimeException {
  private final int line;

  public TemplateException(String message) {
    this(message, 0);
  }

  public TemplateException(String message, int line) {
    super(message);
    this.line = line;
  }

  private TemplateException(String message, TemplateException cause, int line) {
    super(message, cause);
    this.line = line;
  }

  /** The line of the template's source, from 1; 0 where there is none to name. */
  public int line() {
    return line;
  }

  TemplateException at(int line) {
    return this.line > 0 || line == 0
        ? this
        : new TemplateException(String.valueOf(getMessage()), this, line);
  }

  /**
   * This, with where the template stands before the message: the file, the key in it, the line.
   *
   * @param place the file and the key; empty if it is not known, and then nothing is added
   */
  public TemplateException in(String place) {
    String where = line == 0 ? place : place + ", line " + line;
    return place.isEmpty()
        ? this
        : new TemplateException(where + " of the chat template: " + getMessage(), this, line);
  }
}
