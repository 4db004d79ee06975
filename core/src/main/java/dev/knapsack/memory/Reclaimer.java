package dev.knapsack.memory;

import java.util.List;

/**
 * A holder of leases that can give some back under pressure.
 *
 * <p>Asked by the thread whose lease does not fit, with no lock of the budget held. That thread may
 * hold locks of its own, and may be one that others wait for: an implementation may wait for
 * another thread only where it knows that this one does not wait for anybody in turn.
 */
public interface Reclaimer {
  /** Everything that could be given back from now on; nothing where that cannot be said at once. */
  List<Offer> offers();

  /**
   * Closes leases of about {@code bytes} bytes, if it can. Leases taken in here ask no reclaimers.
   *
   * @return bytes given back, 0 for none
   */
  long reclaim(long bytes);

  /** Said when somebody waits for what this one offers for later; returns at once. */
  void hurry();
}
