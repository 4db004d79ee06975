package dev.knapsack.memory;

/** A holder of leases that can give some back under pressure. */
@FunctionalInterface
public interface Reclaimer {
  /**
   * Closes leases of about {@code bytes} bytes, if it can.
   *
   * <p>Called by the thread whose lease does not fit, with no lock of the budget held; that thread
   * may hold locks of its own, so an implementation must not wait for other threads. Leases taken
   * in here ask no reclaimers.
   *
   * @return bytes given back, 0 for none
   */
  long reclaim(long bytes);
}
