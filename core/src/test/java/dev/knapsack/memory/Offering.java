package dev.knapsack.memory;

import java.util.List;
import java.util.function.LongUnaryOperator;

/** A reclaimer that offers what it is told to. */
public record Offering(List<Offer> offers, LongUnaryOperator giving) implements Reclaimer {
  /** Offers so many bytes, which cost nothing. */
  public Offering(long bytes, LongUnaryOperator giving) {
    this(List.of(new Offer(bytes, 0, true)), giving);
  }

  @Override
  public long reclaim(long bytes) {
    return giving.applyAsLong(bytes);
  }

  @Override
  public void hurry() {}
}
