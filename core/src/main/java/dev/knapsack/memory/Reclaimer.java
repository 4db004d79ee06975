package dev.knapsack.memory;

/**
 * A holder of leases that can give some back under pressure.
 *
 * <p>Asked by the thread whose lease does not fit, with no lock of the budget held. That thread may
 * hold locks of its own, and may be one that others wait for: an implementation may wait for
 * another thread only where it knows that this one does not wait for anybody in turn.
 */
public interface Reclaimer {
  /**
   * Bytes that {@link #reclaim} would give back at the most if it were asked now. Nothing is given
   * back for a lease that would not fit even so.
   */
  long offer();

  /**
   * Closes leases of about {@code bytes} bytes, if it can. Leases taken in here ask no reclaimers.
   *
   * @return bytes given back, 0 for none
   */
  long reclaim(long bytes);
}
