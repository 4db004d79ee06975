package dev.knapsack.engine;

/**
 * Thrown to a thread that is interrupted while it waits for an engine; its interrupt status stays
 * set. What it waited for has not happened, and the answer that it took from is cancelled; nobody
 * else notices.
 */
public final class WaitInterruptedException extends EngineException {
  WaitInterruptedException() {
    super("The thread was interrupted while it waited for the engine.");
  }
}
