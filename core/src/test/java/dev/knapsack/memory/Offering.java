package dev.knapsack.memory;

import java.util.function.LongUnaryOperator;

/** A reclaimer that offers what it is told to. */
public record Offering(long offer, LongUnaryOperator giving) implements Reclaimer {
  @Override
  public long reclaim(long bytes) {
    return giving.applyAsLong(bytes);
  }
}
