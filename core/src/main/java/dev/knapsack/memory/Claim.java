package dev.knapsack.memory;

/**
 * A request for bytes that waits until others have given some back.
 *
 * <p>Claims of all accounts have their turn one after the other. Next is the one whose tenant has
 * been given the least for its {@linkplain Account#entitle weight}, and of several the oldest, so
 * that what becomes free is divided by weight as long as several want it, and everyone has a turn.
 * Whoever comes without a claim waits behind those who have one.
 */
public final class Claim implements AutoCloseable {
  private final ClaimQueue queue;
  final Account tenant;
  final long bytes;
  final Runnable wake;
  final Thread claimer = Thread.currentThread();

  Claim(ClaimQueue queue, Account tenant, long bytes, Runnable wake) {
    this.queue = queue;
    this.tenant = tenant;
    this.bytes = bytes;
    this.wake = wake;
  }

  /** True once its turn has come. */
  public boolean isNext() {
    return queue.isNext(this);
  }

  /** Leaves the queue with what was claimed. */
  public void fulfil() {
    queue.leave(this, true);
  }

  /** Leaves the queue without what was claimed; nothing if it has left before. */
  @Override
  public void close() {
    queue.leave(this, false);
  }
}
