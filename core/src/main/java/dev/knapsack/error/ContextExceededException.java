package dev.knapsack.error;

/** Thrown before anything is computed when a prompt leaves no room for an answer. */
public final class ContextExceededException extends KnapsackException {
  private final int tokens;
  private final int context;

  public ContextExceededException(int tokens, int context) {
    super(
        Kind.REQUEST,
        "The prompt has %,d tokens; with one token of an answer it needs a context of %,d, and the plan gives a sequence %,d. Shorten the prompt or plan a longer context."
            .formatted(tokens, tokens + 1, context));
    this.tokens = tokens;
    this.context = context;
  }

  /**
   * A text that is too long whatever tokens it has.
   *
   * @param fewest the fewest tokens that it can have
   */
  public ContextExceededException(long characters, long fewest, int context) {
    super(
        Kind.REQUEST,
        "The prompt is %,d characters long: %,d tokens at the very least, and the plan gives a context of %,d. At most its first %,d characters might fit. Shorten the prompt or plan a longer context."
            .formatted(characters, fewest, context, characters / fewest * (context - 1)));
    this.tokens = Math.clamp(fewest, 0, Integer.MAX_VALUE);
    this.context = context;
  }

  /**
   * A text that is to be read whole.
   *
   * @param most tokens that it may have
   */
  public static ContextExceededException ofText(int tokens, int most) {
    return new ContextExceededException(
        tokens,
        most,
        "A text has %,d tokens, and may have %,d. Shorten it, or have its end left out."
            .formatted(tokens, most));
  }

  private ContextExceededException(int tokens, int context, String message) {
    super(Kind.REQUEST, message);
    this.tokens = tokens;
    this.context = context;
  }

  /** Tokens of the prompt; the fewest that it can have, if it was refused before it had any. */
  public int tokens() {
    return tokens;
  }

  /** Tokens that a sequence may hold. */
  public int context() {
    return context;
  }
}
