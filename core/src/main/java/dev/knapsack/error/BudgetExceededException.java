package dev.knapsack.error;

/** Thrown when an account asks for more bytes than its budget has free. */
public final class BudgetExceededException extends KnapsackException {
  private final String account;
  private final long requested;
  private final long free;
  private final long total;

  public BudgetExceededException(String account, long requested, long free, long total) {
    super(
        Kind.MEMORY,
        "Account '%s' asked for %,d bytes, but only %,d of the budget's %,d bytes are free (%,d missing)"
            .formatted(account, requested, free, total, requested - free));
    this.account = account;
    this.requested = requested;
    this.free = free;
    this.total = total;
  }

  public String account() {
    return account;
  }

  public long requested() {
    return requested;
  }

  public long free() {
    return free;
  }

  /** Bytes of the budget, or of the part of it that was to have room. */
  public long total() {
    return total;
  }
}
