package dev.knapsack.error;

/**
 * Thrown to a thread that is interrupted while it waits for an engine; its interrupt status stays
 * set. What it waited for has not happened, and the answer that it took from is cancelled; nobody
 * else notices.
 */
public final class WaitInterruptedException extends KnapsackException {
  public WaitInterruptedException() {
    super(Kind.INTERRUPTED, "The thread was interrupted while it waited for the engine.");
  }
}
