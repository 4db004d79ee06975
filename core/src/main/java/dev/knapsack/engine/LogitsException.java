package dev.knapsack.engine;

/** Thrown when a model's logits leave no token to choose. */
public final class LogitsException extends EngineException {
  LogitsException(String message) {
    super(message);
  }
}
