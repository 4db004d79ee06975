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

  /**
   * A container whose program may take all of it.
   *
   * @param heap the most that the Java heap may become
   * @param outside what is resident beside it
   * @param margin what is left to others
   */
  public static BudgetExceededException ofContainer(
      long limit, long heap, long outside, long margin) {
    long wanted = heap + outside + margin;
    return new BudgetExceededException(
        "The container has %,d bytes, and the program may take %,d: a Java heap of up to %,d, %,d that are resident beside it now, and a margin of %,d. Nothing is left for models (%,d missing). Give the heap less (-Xmx), or the container more."
            .formatted(limit, wanted, heap, outside, margin, wanted - limit),
        "host",
        wanted,
        limit,
        limit);
  }

  private BudgetExceededException(
      String message, String account, long requested, long free, long total) {
    super(Kind.MEMORY, message);
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
