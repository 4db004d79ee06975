package dev.knapsack.error;

import org.jspecify.annotations.Nullable;

/**
 * An answer that was asked for as a value of a Java type, and is none: it ended before it was
 * whole, or the type's own constructor refused what it says.
 */
public final class StructuredAnswerException extends KnapsackException {
  private final String text;

  /**
   * @param problem what is wrong, and what would work
   * @param text the answer as far as it came
   * @param cause what a constructor threw; null if none did
   */
  public StructuredAnswerException(String problem, String text, @Nullable Throwable cause) {
    super(Kind.REQUEST, problem, cause);
    this.text = text;
  }

  /** The answer as far as it came. */
  public String text() {
    return text;
  }
}
