package dev.knapsack.memory;

import java.util.concurrent.atomic.AtomicLong;

/** A named share of a {@link Budget}: what it uses now, and the most it ever used. */
public final class Account {
  private final Budget budget;
  private final String name;
  private final AtomicLong used = new AtomicLong();

  Account(Budget budget, String name) {
    this.budget = budget;
    this.name = name;
  }

  public String name() {
    return name;
  }

  public Budget budget() {
    return budget;
  }

  /** Bytes leased or reserved now. */
  public long used() {
    return used.get();
  }

  /**
   * Leases zeroed native memory, aligned to a page.
   *
   * @throws BudgetExceededException if the budget has fewer bytes free
   */
  public Lease lease(long bytes) {
    budget.take(this, bytes);
    used.addAndGet(bytes);
    return new Lease(this, bytes, true);
  }

  /** Takes bytes without memory behind them: for what others allocate, such as the JVM itself. */
  public Lease reserve(long bytes) {
    budget.take(this, bytes);
    used.addAndGet(bytes);
    return new Lease(this, bytes, false);
  }

  void giveBack(long bytes) {
    used.addAndGet(-bytes);
    budget.giveBack(bytes);
  }
}
