package dev.knapsack.memory;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The claims that wait for bytes of a budget.
 *
 * <p>Start-time fair queueing (Goyal, Vin, Cheng 1996): a tenant's own time advances by bytes over
 * weight with each claim that is fulfilled, and the claim of the tenant whose time is earliest is
 * next. A tenant that asked for nothing for long begins at the time of the one served last.
 */
final class ClaimQueue {
  private final Object lock;

  // Guarded by the lock.
  private final List<Claim> waiting = new ArrayList<>();
  private double time;

  /**
   * @param lock guards accounts, too
   */
  ClaimQueue(Object lock) {
    this.lock = lock;
  }

  Claim add(Account tenant, long bytes, Runnable wake) {
    Claim claim = new Claim(this, tenant, bytes, wake);
    synchronized (lock) {
      waiting.add(claim);
    }
    return claim;
  }

  boolean isNext(Claim claim) {
    synchronized (lock) {
      return next() == claim;
    }
  }

  boolean isEmpty() {
    synchronized (lock) {
      return waiting.isEmpty();
    }
  }

  void leave(Claim claim, boolean fulfilled) {
    synchronized (lock) {
      if (waiting.remove(claim) && fulfilled) {
        time = start(claim);
        claim.tenant.served = time + claim.bytes / claim.tenant.weight;
      }
    }
    wake();
  }

  /** Has the next claim looked at again, but for what its own thread has just done. */
  void wake() {
    Claim next;
    synchronized (lock) {
      next = next();
    }
    if (next != null && !next.claimer.equals(Thread.currentThread())) {
      next.wake.run();
    }
  }

  private @Nullable Claim next() {
    return waiting.stream().min(Comparator.comparingDouble(this::start)).orElse(null);
  }

  private double start(Claim claim) {
    return Math.max(time, claim.tenant.served);
  }
}
