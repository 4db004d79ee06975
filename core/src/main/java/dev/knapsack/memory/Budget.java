package dev.knapsack.memory;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The bytes that a user has named, and the named accounts that lease them.
 *
 * <p>Every large piece of native memory is leased from an {@link Account} of a budget; closing the
 * {@link Lease} gives the bytes back. At any moment {@code used() + free() == total()}. A budget is
 * safe for use by many threads, and several engines may share one.
 */
public final class Budget {
  private static final Pattern SIZE =
      Pattern.compile("([0-9]+(?:\\.[0-9]+)?)\\s*([KMGT]?)(i?)B?", Pattern.CASE_INSENSITIVE);

  private final long total;
  private final Map<String, Account> accounts = new ConcurrentSkipListMap<>();
  private long used;

  private Budget(long total) {
    this.total = total;
  }

  /** A budget of {@code bytes} bytes. */
  public static Budget ofBytes(long bytes) {
    if (bytes <= 0) {
      throw new IllegalArgumentException("A budget must be more than 0 bytes, not " + bytes);
    }
    return new Budget(bytes);
  }

  /**
   * A budget of a size as people write it: {@code "2GiB"}, {@code "512MiB"}, {@code "1.5G"}, {@code
   * "800000000"}.
   */
  public static Budget of(String size) {
    return ofBytes(parseSize(size));
  }

  /**
   * Bytes of a size as people write it; K, M, G and T are powers of 1024, with or without {@code
   * iB}.
   */
  public static long parseSize(String size) {
    Matcher m = SIZE.matcher(size.strip());
    if (!m.matches()) {
      throw new IllegalArgumentException(
          "Not a size: '" + size + "'. Write it like 2GiB, 512MiB or 800000000.");
    }
    int power = "KMGT".indexOf(m.group(2).toUpperCase(Locale.ROOT)) + 1;
    return (long)
        (Double.parseDouble(m.group(1)) * Math.pow(1024, m.group(2).isEmpty() ? 0 : power));
  }

  /**
   * The account of this name (a path such as {@code weights/stream}), made when first asked for.
   */
  public Account account(String name) {
    return accounts.computeIfAbsent(name, n -> new Account(this, n));
  }

  /** All accounts so far, by name. */
  public List<Account> accounts() {
    return List.copyOf(accounts.values());
  }

  public long total() {
    return total;
  }

  public synchronized long used() {
    return used;
  }

  public synchronized long free() {
    return total - used;
  }

  synchronized void take(Account account, long bytes) {
    if (bytes > total - used) {
      throw new BudgetExceededException(account.name(), bytes, total - used, total);
    }
    used += bytes;
  }

  synchronized void giveBack(long bytes) {
    used -= bytes;
  }
}
