package dev.knapsack.error;

/** Thrown by what is called on an engine, a session or an answer after it was closed. */
public final class EngineClosedException extends KnapsackException {
  public EngineClosedException(String what) {
    super(Kind.CLOSED, "The " + what + " is closed.");
  }
}
