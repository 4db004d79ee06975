package dev.knapsack.error;

/** Thrown when a model's logits leave no token to choose. */
public final class LogitsException extends KnapsackException {
  public LogitsException(String message) {
    super(Kind.FILE, message);
  }
}
