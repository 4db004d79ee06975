package dev.knapsack.engine;

/** Thrown before anything is computed when a prompt leaves no room for an answer. */
public final class ContextExceededException extends EngineException {
  private final int tokens;
  private final int context;

  ContextExceededException(int tokens, int context) {
    super(
        "The prompt has %,d tokens; with one token of an answer it needs a context of %,d, and the plan gives a sequence %,d. Shorten the prompt or plan a longer context."
            .formatted(tokens, tokens + 1, context));
    this.tokens = tokens;
    this.context = context;
  }

  /** Tokens of the prompt. */
  public int tokens() {
    return tokens;
  }

  /** Tokens that a sequence may hold. */
  public int context() {
    return context;
  }
}
