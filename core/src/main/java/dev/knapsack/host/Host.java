package dev.knapsack.host;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.arch.Families;
import dev.knapsack.os.Footprint;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.Machine;
import dev.knapsack.planner.MachineCache;
import dev.knapsack.planner.Planner;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Home of all models that are open in one {@link Budget}: one team of threads, one choice of
 * kernels, one measurement of the machine and one share of the JVM serve them all.
 *
 * <p>Nothing is held while no {@link Tenant} is there: the first starts threads and takes the JVM's
 * share of the budget, the last to leave ends them and gives it back. Safe for use by many threads.
 */
public final class Host {
  /** The least bytes that the machine can be measured with. */
  private static final long LEAST_TO_MEASURE = 8L << 20;

  /** The time between two looks at what is resident. */
  private static final long LOOK_MILLIS = 250;

  /** Bytes that may be resident beyond the ledger's, or below, before it follows. */
  private static final long LEEWAY = 1L << 20;

  /**
   * The choices that all tenants of a host have in common.
   *
   * @param kernels the arithmetic
   * @param wholeProcess whether the budget bounds the whole process, its Java heap included, and
   *     not only what Knapsack adds to it
   * @param serving whether many callers come at once, for as long as it lasts: more of the whole
   *     process is then counted for the JVM, and what it grows to beyond that is taken into account
   *     as it grows
   * @param cache folder where the measured speed of this machine is kept
   */
  public record Options(
      KernelProvider.Choice kernels, boolean wholeProcess, boolean serving, Path cache) {
    /**
     * The fastest arithmetic of this machine, a guest in a larger program, and {@code
     * $XDG_CACHE_HOME/knapsack} or {@code ~/.cache/knapsack}.
     */
    public static Options usual() {
      return of(KernelProvider.best());
    }

    /** With other arithmetic. */
    public static Options of(KernelProvider.Choice kernels) {
      return new Options(kernels, false, false, usualCache());
    }

    public Options withWholeProcess(boolean value) {
      return new Options(kernels, value, serving, cache);
    }

    public Options withServing(boolean value) {
      return new Options(kernels, wholeProcess, value, cache);
    }

    public Options withCache(Path folder) {
      return new Options(kernels, wholeProcess, serving, folder);
    }

    private static Path usualCache() {
      String given = System.getenv("XDG_CACHE_HOME");
      Path base =
          given != null && !given.isBlank()
              ? Path.of(given)
              : Path.of(System.getProperty("user.home"), ".cache");
      return base.resolve("knapsack");
    }
  }

  /**
   * A tenant's part in its host's budget, where others want the same bytes.
   *
   * @param name of the account that all of its accounts are a part of; empty for one that has no
   *     account of its own, which can have no floor and has the usual weight
   * @param floor bytes that it can have whatever others want, its weights included
   * @param weight proportion in which it is given what several wait for; 1 is usual
   * @see Account#entitle
   */
  public record Share(String name, long floor, double weight) {
    /** A share without a name. */
    public static final Share USUAL = new Share("", 0, 1);

    public Share {
      if (name.isEmpty() && (floor != 0 || weight != 1)) {
        throw new IllegalArgumentException(
            "A share with a floor of %,d bytes and a weight of %s needs a name."
                .formatted(floor, weight));
      }
    }

    /** The name, in its host's budget, of an account of the tenant. */
    String account(String account) {
      return name.isEmpty() ? account : name + "/" + account;
    }
  }

  /** Told how far loading a model has come. */
  @FunctionalInterface
  public interface LoadProgress {
    /** Tells nobody. */
    LoadProgress NONE = (done, total) -> {};

    /** {@code done} of {@code total} bytes of resident weights have been read. */
    void loaded(long done, long total);
  }

  private final Budget budget;
  private final Options options;
  private final MachineCache speeds;

  // Guarded by this host.
  private int tenants;
  private @Nullable WorkerTeam team;
  private final Deque<Lease> jvm = new ArrayDeque<>();
  private long plannedForJvm;
  private @Nullable Thread looking;

  /** A host with the usual options. */
  public Host(Budget budget) {
    this(budget, Options.usual());
  }

  public Host(Budget budget, Options options) {
    this.budget = budget;
    this.options = options;
    this.speeds = new MachineCache(options.cache());
  }

  public Budget budget() {
    return budget;
  }

  /**
   * Bytes of the machine's memory that this process holds, as the kernel counts them; empty where
   * the operating system does not say.
   */
  public static OptionalLong resident() {
    return Footprint.now()
        .map(now -> OptionalLong.of(now.resident()))
        .orElseGet(OptionalLong::empty);
  }

  /** The arithmetic in use, and why. */
  public KernelProvider.Choice kernels() {
    return options.kernels();
  }

  /** Folder of what is kept between runs. */
  public Path cache() {
    return options.cache();
  }

  /**
   * A tenant more, until it is closed.
   *
   * @throws dev.knapsack.error.BudgetExceededException if its floor does not fit
   * @throws IllegalStateException if another one has a share of this name
   */
  public Tenant enter(Share share) {
    Budget.Registration floor =
        share.equals(Share.USUAL)
            ? () -> {}
            : budget.account(share.name()).entitle(share.floor(), share.weight());
    synchronized (this) {
      tenants++;
      if (options.wholeProcess() && options.serving() && looking == null) {
        Lease grown = jvmAccount().reserve(0);
        jvm.push(grown);
        looking = Thread.ofVirtual().name("knapsack-resident").start(() -> look(grown));
      }
      return new Tenant(share, floor);
    }
  }

  /**
   * Somebody who computes in a host, such as a model that is open: as long as it is not closed, the
   * threads are there, and what the JVM was found to take stays reserved.
   */
  public final class Tenant implements AutoCloseable {
    private final Share share;
    private final Budget.Registration floor;
    private boolean closed; // guarded by the host

    private Tenant(Share share, Budget.Registration floor) {
      this.share = share;
      this.floor = floor;
    }

    /** The account of this name that the tenant takes its memory from. */
    public Account account(String name) {
      return budget.account(share.account(name));
    }

    /**
     * So many of the host's threads, the caller among them; more are started if need be.
     *
     * @throws IllegalArgumentException if a team cannot be so large
     */
    public WorkerTeam team(int workers) {
      synchronized (Host.this) {
        checkOpen();
        WorkerTeam shared = team;
        if (shared == null) {
          shared = new WorkerTeam(workers);
          team = shared;
        }
        return shared.of(workers);
      }
    }

    /**
     * Reserves what a plan says that the JVM takes, but for what has been reserved before.
     *
     * @throws dev.knapsack.error.BudgetExceededException if it does not fit
     */
    public void reserveJvm(long bytes) {
      synchronized (Host.this) {
        checkOpen();
        jvm.push(jvmAccount().reserve(missingJvm(bytes)));
        plannedForJvm = Math.max(plannedForJvm, bytes);
      }
    }

    /**
     * A planner for a model that is to compute with so many threads, on this machine as it was
     * measured before, or is now; nobody else of this host computes meanwhile.
     */
    public Planner planner(ModelFile file, int workers) {
      Kernels kernels = kernels().kernels();
      Machine machine;
      // Measuring keeps within the budget too: what the JVM takes is not there to measure with.
      long taken =
          Math.min(
              missingJvm(jvmShare(workers).bytes()),
              Math.max(0, jvmAccount().free() - LEAST_TO_MEASURE));
      try (Lease _ = jvmAccount().reserve(taken)) {
        WorkerTeam threads = team(workers);
        machine =
            threads.turn(() ->
                budget.askingNobody(
                    () -> speeds.machine(file, kernels, threads, budget.account("probe"))));
      }
      JvmShare share = jvmShare(workers);
      if (!machine.isMeasured()) {
        share = share.withMeasuring(kernels.provider() == KernelProvider.X86);
      }
      return new Planner(file, Families.spec(file), machine, kernels, share);
    }

    @Override
    public void close() {
      synchronized (Host.this) {
        if (!closed) {
          closed = true;
          floor.close();
          tenants--;
          if (tenants == 0) {
            leave();
          }
        }
      }
    }

    private void checkOpen() {
      if (closed) {
        throw new IllegalStateException("This tenant of a host is closed");
      }
    }
  }

  /**
   * Bytes that a plan of a model may have: those that are free or would be given back, and those
   * that are counted for the JVM, which are in every plan.
   */
  public long room(Share share) {
    return budget.account(share.account("weights")).available() + reservedJvm();
  }

  /** Bytes of a plan's share of the JVM that are not reserved yet. */
  public long missingJvm(long bytes) {
    return Math.max(0, bytes - reservedJvm());
  }

  private synchronized long reservedJvm() {
    return jvm.stream().mapToLong(Lease::bytes).sum();
  }

  private JvmShare jvmShare(int workers) {
    return options.wholeProcess()
        ? JvmShare.ofThisProcess(workers, budget.used() - jvmAccount().used(), options.serving())
        : JvmShare.ofGuest(workers);
  }

  private Account jvmAccount() {
    return budget.account("jvm");
  }

  /** Follows the process's resident set until interrupted. */
  private void look(Lease grown) {
    try {
      while (true) {
        Thread.sleep(LOOK_MILLIS);
        resident().ifPresent(resident -> follow(grown, resident - budget.used()));
      }
    } catch (InterruptedException | IllegalStateException _) {
      // The last tenant has left, and the lease is closed.
    }
  }

  /**
   * Takes bytes into account that the JVM has grown to, or gives them back, but for what plans
   * count: that it may still grow to.
   *
   * @param more resident bytes that are in no account; negative where accounts hold more
   */
  private void follow(Lease grown, long more) {
    if (more > LEEWAY) {
      try {
        grown.grow(more);
      } catch (BudgetExceededException _) {
        // Nobody could give back so much: what is free, until somebody can.
        long free = Math.min(more, grown.account().free());
        if (free > 0) {
          grown.tryGrow(free);
        }
      }
    } else if (-more > LEEWAY) {
      synchronized (this) {
        long beyondPlans = Math.max(0, reservedJvm() - plannedForJvm);
        grown.shrink(Math.min(Math.min(grown.bytes(), beyondPlans), -more));
      }
    }
  }

  /** Gives back what the tenants had in common. */
  private void leave() {
    if (looking != null) {
      looking.interrupt();
      looking = null;
    }
    WorkerTeam shared = team;
    team = null;
    if (shared != null) {
      shared.close();
    }
    while (!jvm.isEmpty()) {
      jvm.pop().close();
    }
    plannedForJvm = 0;
  }
}
