package dev.knapsack.memory;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.NativeMemoryException;
import dev.knapsack.os.NativeMemory;
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
  long floor;
  double weight = 1;

  /** The time of this tenant in its {@link ClaimQueue}: bytes that its claims had, over weight. */
  double served;

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

  /** The account of this name that is a part of this one. */
  public Account part(String partName) {
    return budget.account(name + "/" + partName);
  }

  /** The account that this one is at last a part of: that of the tenant whose bytes these are. */
  Account tenant() {
    return parent == null ? this : parent.tenant();
  }

  /**
   * Makes sure of {@code bytes} bytes for this account and its parts, and says what of more it is
   * to have, until that is closed.
   *
   * <p>What it uses less than that nobody else can take, and nobody is asked to give back for
   * others what it uses up to that. While several tenants {@linkplain Budget#claim wait} for what
   * becomes free, it is divided among them in proportion to their weights. So of 1,000 bytes, where
   * one tenant has a floor of 300 and another one of 200, the first can use 800; when the second
   * then wants 400, it takes the 200 that are free and the first is asked for 200, for 500 at the
   * most.
   *
   * @param weight more than 0; that of whom nobody has said anything is 1
   * @throws IllegalStateException if this account is a part of another, or has a floor already
   * @throws BudgetExceededException if so much is not to be had now, after all reclaimers were
   *     asked
   */
  public Budget.Registration entitle(long bytes, double weight) {
    return budget.entitle(this, bytes, weight);
  }

  /** Bytes that this account can lease without anybody's giving back. */
  public long free() {
    return budget.free(this);
  }

  /** Bytes that this account can lease now: those that are free or would be given back for it. */
  public long available() {
    return budget.reachable(this, true);
  }

  /**
   * Refuses a lease that would not fit even if all gave back what they offer, before anybody does.
   * Nobody is asked for what is free.
   *
   * @throws BudgetExceededException if so much is not to be had now
   */
  public void checkRoom(long bytes) {
    if (bytes > free()) {
      long available = available();
      if (bytes > available) {
        throw new BudgetExceededException(name, bytes, available, budget.total());
      }
    }
  }

  /** Bytes that this account can lease when all that is under way has ended. */
  public long expected() {
    return budget.reachable(this, false);
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
