package dev.knapsack.memory;

/**
 * Bytes that a holder would give back, and what that costs.
 *
 * @param bytes the most that would be free then
 * @param seconds it takes to have again what is given up, such as to compute a prompt once more: of
 *     offers on one rung, the budget takes those first whose bytes cost the least time
 * @param now whether they are given when they are {@linkplain Reclaimer#reclaim asked for}; else
 *     they come by themselves, when what is under way has ended
 */
public record Offer(long bytes, double seconds, boolean now) {
  public Offer {
    if (bytes < 0 || !(seconds >= 0)) {
      throw new IllegalArgumentException(
          "Nobody offers %,d bytes for %s seconds".formatted(bytes, seconds));
    }
  }
}
