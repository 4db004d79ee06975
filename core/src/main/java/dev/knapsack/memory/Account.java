package dev.knapsack.memory;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.NativeMemoryException;
import org.jspecify.annotations.Nullable;

/**
 * A named share of a {@link Budget}: what it uses now, and the most it ever used.
 *
 * <p>A name is a path: {@code weights/stream} is an account of its own and a part of {@code
 * weights}, whose {@link #used()} counts it.
 */
public final class Account {
  private final Budget budget;
  private final String name;
  private final @Nullable Account parent;

  // Guarded by the budget's lock, so that all accounts change in one step.
  long own;
  long used;
  long peak;

  Account(Budget budget, String name, @Nullable Account parent) {
    this.budget = budget;
    this.name = name;
    this.parent = parent;
  }

  public String name() {
    return name;
  }

  public Budget budget() {
    return budget;
  }

  /** The account that this one is a part of, or null for a part of the budget itself. */
  public @Nullable Account parent() {
    return parent;
  }

  /** Bytes leased or reserved now, in this account and its parts. */
  public long used() {
    synchronized (budget.lock) {
      return used;
    }
  }

  /** Bytes leased or reserved now in this account itself, without its parts. */
  public long own() {
    synchronized (budget.lock) {
      return own;
    }
  }

  /** The most that {@link #used()} ever was. */
  public long peak() {
    synchronized (budget.lock) {
      return peak;
    }
  }

  /** The bytes that a lease of {@code bytes} bytes takes from its account: whole pages. */
  public static long charged(long bytes) {
    return NativeMemory.wholePages(bytes);
  }

  /**
   * Leases zeroed native memory, aligned to a page. It takes whole pages of 4096 bytes from the
   * budget; they become resident when they are first touched.
   *
   * @throws BudgetExceededException if the budget has fewer bytes free, after all reclaimers were
   *     asked
   * @throws NativeMemoryException if the operating system refuses
   */
  public Lease lease(long bytes) {
    if (bytes <= 0) {
      throw new IllegalArgumentException(
          "A lease of account '" + name + "' must be more than 0 bytes, not " + bytes);
    }
    long taken = NativeMemory.wholePages(bytes);
    budget.take(this, taken);
    try {
      return Lease.ofMemory(this, taken, bytes);
    } catch (Throwable e) {
      budget.giveBack(this, taken);
      throw e;
    }
  }

  /**
   * Takes bytes without memory behind them: for what others allocate, such as the JVM itself.
   *
   * @throws BudgetExceededException if the budget has fewer bytes free, after all reclaimers were
   *     asked
   */
  public Lease reserve(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException(
          "A reservation of account '" + name + "' cannot be " + bytes + " bytes");
    }
    budget.take(this, bytes);
    return Lease.ofReservation(this, bytes);
  }

  /**
   * Charges bytes of this account to another of the same budget instead; nothing is taken or given
   * back.
   *
   * @throws IllegalArgumentException if this account itself holds fewer, or the budget is another
   */
  public void move(long bytes, Account to) {
    synchronized (budget.lock) {
      if (bytes < 0 || bytes > own || to.budget != budget) {
        throw new IllegalArgumentException(
            "Account '%s' holds %,d bytes: %,d of them cannot go to '%s'"
                .formatted(name, own, bytes, to.name));
      }
      budget.change(this, -bytes);
      budget.change(to, bytes);
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
