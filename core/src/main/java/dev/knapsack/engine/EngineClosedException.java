package dev.knapsack.engine;

/** Thrown by what is called on an engine, a session or an answer after it was closed. */
public final class EngineClosedException extends EngineException {
  EngineClosedException(String what) {
    super("The " + what + " is closed.");
  }
}
