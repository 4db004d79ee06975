package dev.knapsack.memory;

import dev.knapsack.error.BudgetExceededException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The bytes that a user has named, and the named accounts that lease them.
 *
 * <p>Every large piece of native memory is leased from an {@link Account} of a budget; closing the
 * {@link Lease} gives the bytes back. At any moment {@code used() + free() == total()}. When a
 * lease does not fit, {@linkplain #onPressure reclaimers} are asked to give back, in the order of
 * their {@link Rung}, unless all of them together could not make it fit. A budget is safe for use
 * by many threads, and several engines may share one.
 */
public final class Budget {
  private static final Pattern SIZE =
      Pattern.compile("([0-9]+(?:\\.[0-9]+)?)\\s*([KMGT]?)(i?)B?", Pattern.CASE_INSENSITIVE);

  /**
   * All accounts at one moment.
   *
   * @param total bytes of the budget
   * @param used bytes that all accounts hold together
   * @param peak the most that was ever used
   * @param own bytes that each account itself holds, without its parts, by name: their sum is
   *     {@code used}
   */
  public record Snapshot(long total, long used, long peak, SortedMap<String, Long> own) {
    public long free() {
      return total - used;
    }
  }

  /** A reclaimer's place on the ladder, until closed. */
  public interface Registration extends AutoCloseable {
    @Override
    void close();
  }

  /** A reclaimer on the ladder; each registration is its own, whatever it registers. */
  private static final class Step {
    final Rung rung;
    final Reclaimer reclaimer;

    Step(Rung rung, Reclaimer reclaimer) {
      this.rung = rung;
      this.reclaimer = reclaimer;
    }
  }

  final Object lock = new Object();

  private final long total;
  private final Map<String, Account> accounts = new TreeMap<>(); // guarded by lock
  private final List<Step> ladder = new ArrayList<>(); // guarded by lock
  private final Set<Thread> askNobody = ConcurrentHashMap.newKeySet();
  private long used; // guarded by lock
  private long peak; // guarded by lock

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
    int power = m.group(2).isEmpty() ? 0 : "KMGT".indexOf(m.group(2).toUpperCase(Locale.ROOT)) + 1;
    double bytes = Double.parseDouble(m.group(1)) * Math.pow(1024, power);
    if (bytes >= 0x1p62) {
      throw new IllegalArgumentException(
          "'" + size + "' is more than any machine has. Write it like 2GiB, 512MiB or 800000000.");
    }
    return (long) bytes;
  }

  /**
   * The account of this name (a path such as {@code weights/stream}), made when first asked for,
   * with those that it is a part of.
   */
  public Account account(String name) {
    if (name.isEmpty() || name.startsWith("/") || name.endsWith("/") || name.contains("//")) {
      throw new IllegalArgumentException(
          "Not an account's name: '" + name + "'. Write it like weights or weights/stream.");
    }
    synchronized (lock) {
      Account account = accounts.get(name);
      if (account == null) {
        int slash = name.lastIndexOf('/');
        Account parent = slash < 0 ? null : account(name.substring(0, slash));
        account = new Account(this, name, parent);
        accounts.put(name, account);
      }
      return account;
    }
  }

  /**
   * All accounts so far, by name. An account's {@link Account#used()} counts its parts, which are
   * listed too; {@link Account#own()} sums up to {@link #used()}.
   */
  public List<Account> accounts() {
    synchronized (lock) {
      return List.copyOf(accounts.values());
    }
  }

  public long total() {
    return total;
  }

  public long used() {
    synchronized (lock) {
      return used;
    }
  }

  public long free() {
    synchronized (lock) {
      return total - used;
    }
  }

  /** Bytes that are free, and those that {@linkplain #onPressure reclaimers} would give back. */
  public long available() {
    long bytes = free();
    for (Step step : steps()) {
      long more = bytes + step.reclaimer.offer();
      bytes = more < bytes ? Long.MAX_VALUE : more;
    }
    return bytes;
  }

  /** The most that was ever used. */
  public long peak() {
    synchronized (lock) {
      return peak;
    }
  }

  /** The bytes that every account holds at this moment. */
  public Snapshot snapshot() {
    synchronized (lock) {
      SortedMap<String, Long> own = new TreeMap<>();
      accounts.forEach((name, account) -> own.put(name, account.own));
      return new Snapshot(total, used, peak, own);
    }
  }

  /**
   * Registers a holder that can give bytes back; it is asked when a lease does not fit, after all
   * of earlier rungs and those that came before it on the same rung.
   *
   * @return takes the reclaimer off the ladder when closed
   */
  public Registration onPressure(Rung rung, Reclaimer reclaimer) {
    Step step = new Step(rung, reclaimer);
    synchronized (lock) {
      ladder.add(step);
      ladder.sort(Comparator.comparing(s -> s.rung));
    }
    return () -> {
      synchronized (lock) {
        ladder.remove(step);
      }
    };
  }

  void take(Account account, long bytes) {
    if (tryTake(account, bytes)) {
      return;
    }
    // A reclaimer may lease (to compress, say): it must fit in what is free, or fail.
    if (!askNobody.contains(Thread.currentThread())
        && askingNobody(() -> reclaim(account, bytes))) {
      return;
    }
    long free;
    synchronized (lock) {
      if (tryTake(account, bytes)) {
        return;
      }
      free = total - used;
    }
    throw new BudgetExceededException(account.name(), bytes, free, total);
  }

  /** Asks for what a lease lacks; whether it has been taken then. */
  private boolean reclaim(Account account, long bytes) {
    for (Step step : available() < bytes ? List.<Step>of() : steps()) {
      long missing = bytes - free();
      if (missing > 0) {
        step.reclaimer.reclaim(missing);
      }
      if (tryTake(account, bytes)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Does work whose leases, in the calling thread, take what is free and ask nobody to give back:
   * for who holds what others could be waiting for.
   */
  public <T> T askingNobody(Supplier<T> work) {
    boolean first = askNobody.add(Thread.currentThread());
    try {
      return work.get();
    } finally {
      if (first) {
        askNobody.remove(Thread.currentThread());
      }
    }
  }

  private List<Step> steps() {
    synchronized (lock) {
      return List.copyOf(ladder);
    }
  }

  boolean tryTake(Account account, long bytes) {
    synchronized (lock) {
      if (bytes > total - used) {
        return false;
      }
      change(account, bytes);
      return true;
    }
  }

  void giveBack(Account account, long bytes) {
    synchronized (lock) {
      change(account, -bytes);
    }
  }

  void change(Account account, long bytes) {
    used += bytes;
    peak = Math.max(peak, used);
    account.own += bytes;
    for (@Nullable Account a = account; a != null; a = a.parent()) {
      a.used += bytes;
      a.peak = Math.max(a.peak, a.used);
    }
  }
}
