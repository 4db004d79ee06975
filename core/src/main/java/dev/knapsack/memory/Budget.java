package dev.knapsack.memory;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.NativeMemoryException;
import dev.knapsack.os.ContainerShare;
import dev.knapsack.os.FlightRecording;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
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
 * lease does not fit, {@linkplain #onPressure reclaimers} are asked to give back what they offer,
 * in the order of their {@link Rung} and the cheapest first, unless all of it could not make it
 * fit. Whoever can wait {@linkplain #claim claims} what others will give back. An account that is
 * no part of another is a tenant's, and may have {@linkplain Account#entitle bytes of its own}. A
 * budget is safe for use by many threads, and several engines may share one.
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

  /** All that holders on a rung of the ladder have given back so far: times, and bytes. */
  public record GivenBack(long times, long bytes) {
    static final GivenBack NOTHING = new GivenBack(0, 0);
  }

  /** A reclaimer's place on the ladder, until closed. */
  public interface Registration extends AutoCloseable {
    @Override
    void close();
  }

  /** A reclaimer on the ladder; each registration is its own, whatever it registers. */
  private static final class Step {
    final Rung rung;
    final Account tenant;
    final Reclaimer reclaimer;

    Step(Rung rung, Account tenant, Reclaimer reclaimer) {
      this.rung = rung;
      this.tenant = tenant;
      this.reclaimer = reclaimer;
    }
  }

  /** An offer, and whose it is. */
  private record Asked(Step step, Offer offer) {
    Asked atMost(long bytes) {
      return bytes >= offer.bytes()
          ? this
          : new Asked(step, new Offer(bytes, offer.seconds(), offer.now()));
    }
  }

  final Object lock = new Object();

  private final long total;
  private final Map<String, Account> accounts = new TreeMap<>(); // guarded by lock
  private final List<Step> ladder = new ArrayList<>(); // guarded by lock
  private final List<Account> floors = new ArrayList<>(); // guarded by lock
  private final Map<Rung, GivenBack> givenBack = new EnumMap<>(Rung.class); // guarded by lock
  private final ClaimQueue claims = new ClaimQueue(lock);
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
   * A budget of what a larger program leaves of its container, for a host that counts nothing of
   * the program itself, as {@code new Host(budget)} does. From the limit of the container's memory
   * cgroup (version 1 or 2; what this process holds and the machine has free, if that is less or
   * there is no limit) are subtracted, measured now:
   *
   * <ul>
   *   <li>the Java heap at its largest, {@link Runtime#maxMemory}, however little it holds now;
   *   <li>all that is resident beside the heap: class metadata, compiled code, stacks of threads,
   *       direct buffers, mapped files and the JVM's own structures, as the process's resident set
   *       less the bytes of the heap that are in use. What the heap has touched and does not use
   *       now is counted in both, so that the budget is rather too small than too large;
   *   <li>a tenth of the limit, 64 MiB at least and half of it at most, for what the program loads,
   *       compiles and maps later, and for the kernel.
   * </ul>
   *
   * <p>Other processes in the container are not seen, nor direct buffers that are yet to come: ask
   * when the program has started, or name the bytes. The compiled code and the threads of models
   * are in their plans.
   *
   * @throws BudgetExceededException if nothing is left: says how many bytes each of these takes
   * @throws dev.knapsack.error.NativeMemoryException if the operating system says nothing of memory
   */
  public static Budget ofContainer() {
    ContainerShare share =
        ContainerShare.now()
            .orElseThrow(() ->
                new NativeMemoryException(
                    "The operating system does not say what this process holds and what is free"
                        + " (Linux does, in /proc); name the bytes, as in Budget.of(\"512MiB\")."));
    if (share.left() <= 0) {
      throw BudgetExceededException.ofContainer(
          share.limit(), share.heap(), share.outside(), share.margin());
    }
    return ofBytes(share.left());
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

  /** A number of bytes as people write it: {@code 1.50 GiB}. */
  public static String formatSize(long bytes) {
    double magnitude = Math.abs((double) bytes);
    if (magnitude < 1 << 10) {
      return bytes + " B";
    }
    int power = 1;
    while (power < 4 && magnitude >= Math.pow(1024, power + 1)) {
      power++;
    }
    double value = bytes / Math.pow(1024, power);
    return String.format(
        Locale.ROOT,
        Math.abs(value) < 10 ? "%.2f %ciB" : Math.abs(value) < 100 ? "%.1f %ciB" : "%.0f %ciB",
        value,
        "KMGT".charAt(power - 1));
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
   * of earlier rungs and those of its own whose offers cost less.
   *
   * @param account of what it holds
   * @return takes the reclaimer off the ladder when closed
   */
  public Registration onPressure(Rung rung, Account account, Reclaimer reclaimer) {
    Step step = new Step(rung, account.tenant(), reclaimer);
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

  /** Says that a reclaimer has more to give than when it was last asked. */
  public void announce() {
    claims.wake();
  }

  /**
   * A place in the queue of those who wait for bytes that others will give back.
   *
   * @param wake is called, by any thread but this and with no lock held, when it may be worth to
   *     try again: it does so elsewhere
   */
  public Claim claim(Account account, long bytes, Runnable wake) {
    Claim claim = claims.add(account.tenant(), bytes, wake);
    steps().forEach(step -> step.reclaimer.hurry());
    return claim;
  }

  /** True while anybody waits for bytes. */
  public boolean isClaimed() {
    return !claims.isEmpty();
  }

  Registration entitle(Account tenant, long bytes, double weight) {
    if (bytes < 0 || !(weight > 0 && weight < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "Account '%s' cannot have a floor of %,d bytes and a weight of %s"
              .formatted(tenant.name(), bytes, weight));
    }
    if (tenant.parent() != null) {
      throw new IllegalStateException(
          "Account '%s' is a part of another, and only one that is not can have a floor"
              .formatted(tenant.name()));
    }
    if (floors.contains(tenant)) {
      throw new IllegalStateException(
          "Account '%s' has a floor already; give each tenant's share a name of its own"
              .formatted(tenant.name()));
    }
    long missing = Math.max(0, bytes - tenant.used());
    take(tenant, missing);
    synchronized (lock) {
      change(tenant, -missing);
      tenant.floor = bytes;
      tenant.weight = weight;
      floors.add(tenant);
    }
    return () -> {
      synchronized (lock) {
        floors.remove(tenant);
        tenant.floor = 0;
        tenant.weight = 1;
      }
      announce();
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
      free = free(account);
    }
    if (FlightRecording.isOn()) {
      new PressureEvent(account, null, bytes).end(0, free);
    }
    throw new BudgetExceededException(account.name(), bytes, free, total);
  }

  /** Asks for what a lease lacks; whether it has been taken then. */
  private boolean reclaim(Account account, long bytes) {
    List<Asked> offers = offers(account);
    if (sum(free(account), offers, true) >= bytes) {
      for (Asked asked : offers) {
        long missing = bytes - free(account);
        if (asked.offer.now() && missing > 0) {
          PressureEvent event =
              FlightRecording.isOn() ? new PressureEvent(account, asked.step.rung, bytes) : null;
          long given = asked.step.reclaimer.reclaim(Math.min(missing, asked.offer.bytes()));
          count(asked.step.rung, given);
          if (event != null) {
            event.end(given, free(account));
          }
        }
        if (tryTake(account, bytes)) {
          return true;
        }
      }
    }
    return false;
  }

  private void count(Rung rung, long bytes) {
    if (bytes > 0) {
      synchronized (lock) {
        givenBack.merge(
            rung,
            new GivenBack(1, bytes),
            (a, b) -> new GivenBack(a.times + b.times, a.bytes + b.bytes));
      }
    }
  }

  /** Bytes that the ladder has given back, by its rungs. */
  public Map<Rung, GivenBack> givenBack() {
    Map<Rung, GivenBack> all = new EnumMap<>(Rung.class);
    for (Rung rung : Rung.values()) {
      all.put(rung, GivenBack.NOTHING);
    }
    synchronized (lock) {
      all.putAll(givenBack);
    }
    return all;
  }

  long reachable(Account account, boolean now) {
    long before = free(account);
    List<Asked> offers = offers(account);
    long free = free(account);
    // Who has said what it offers may since have taken what was free, and will give it back.
    return sum(now ? free : Math.max(before, free), offers, now);
  }

  private static long sum(long free, List<Asked> offers, boolean now) {
    long bytes = free;
    for (Asked asked : offers) {
      if (asked.offer.now() || !now) {
        long more = bytes + asked.offer.bytes();
        bytes = more < bytes ? Long.MAX_VALUE : more;
      }
    }
    return bytes;
  }

  /** Everything that would be given back for an account, in the order in which it is asked for. */
  private List<Asked> offers(Account account) {
    Account tenant = account.tenant();
    List<Asked> offers = new ArrayList<>();
    for (Step step : steps()) {
      for (Offer offer : step.reclaimer.offers()) {
        offers.add(new Asked(step, offer));
      }
    }
    offers.sort(
        Comparator.comparing((Asked a) -> a.step.rung)
            .thenComparingDouble(a -> a.offer.seconds() / Math.max(1, a.offer.bytes())));
    // Of others nothing below their floors.
    Map<Account, Long> above = new HashMap<>();
    return offers.stream()
        .map(asked -> {
          Account holder = asked.step.tenant;
          if (holder == tenant) {
            return asked;
          }
          long most = above.computeIfAbsent(holder, this::aboveFloor);
          Asked less = asked.atMost(most);
          above.put(holder, most - less.offer.bytes());
          return less;
        })
        .filter(asked -> asked.offer.bytes() > 0)
        .toList();
  }

  private List<Step> steps() {
    synchronized (lock) {
      return List.copyOf(ladder);
    }
  }

  private long aboveFloor(Account tenant) {
    synchronized (lock) {
      return Math.max(0, tenant.used - tenant.floor);
    }
  }

  /** Bytes that are free for an account: not those that others lack to their floors. */
  long free(Account account) {
    Account tenant = account.tenant();
    synchronized (lock) {
      long bytes = total - used;
      for (Account other : floors) {
        bytes -= other == tenant ? 0 : Math.max(0, other.floor - other.used);
      }
      return bytes;
    }
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

  boolean tryTake(Account account, long bytes) {
    synchronized (lock) {
      if (bytes > free(account)) {
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
    claims.wake();
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
