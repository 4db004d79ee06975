package dev.knapsack.error;

/**
 * Thrown when a model's logits leave no token to choose: of the kind {@code REQUEST} where the
 * request's bias has forbidden all, else {@code FILE}.
 */
public final class LogitsException extends KnapsackException {
  public LogitsException(Kind kind, String message) {
    super(kind, message);
  }
}
