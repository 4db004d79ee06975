package dev.knapsack.kernel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A fixed number of threads that work on one task together; the caller is the first of them.
 *
 * <p>Between tasks workers spin briefly, then park, so that a step's many small tasks cost little
 * and an idle team costs nothing. A task is over when its parts are done, not when every worker has
 * seen it: a worker whose core is busy with something else delays nobody but the part it holds.
 *
 * <p>Tasks of several callers run one after the other. A part may not start a task.
 */
public final class WorkerTeam implements AutoCloseable {
  /** A part of a task. */
  @FunctionalInterface
  public interface Part {
    /** Does part {@code part} of {@code parts}, as worker {@code worker}. */
    void run(int part, int parts, int worker);
  }

  /** The most workers of a team: each has a stack, and scratch memory that is leased for it. */
  public static final int MOST = 1024;

  /** Looks at a flag that costs a pause each: some tens of microseconds on current processors. */
  private static final int SPINS = 2_000;

  private static final Part NOTHING = (part, parts, worker) -> {};

  private final Worker[] others;
  private final int spins;

  /** The task's number in the upper half, its parts not yet taken in the lower. */
  private final AtomicLong ticket = new AtomicLong();

  /** Parts of the task not yet done. */
  private final AtomicInteger pending = new AtomicInteger();

  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

  // Written before the ticket that publishes them, and not again until no part is pending.
  private Part task = NOTHING;
  private int parts;

  private volatile @Nullable Thread waiting;
  private volatile boolean closed;

  /**
   * Starts {@code workers − 1} threads, named {@code knapsack-worker-1} and so on.
   *
   * @throws IllegalArgumentException if that is not 1 to {@link #MOST} workers
   */
  public WorkerTeam(int workers) {
    check(workers);
    // Who spins on a core that another worker needs makes both slower.
    spins = workers <= Runtime.getRuntime().availableProcessors() ? SPINS : 0;
    others = new Worker[workers - 1];
    for (int i = 0; i < others.length; i++) {
      others[i] = new Worker(i + 1);
    }
    for (Worker worker : others) {
      worker.start();
    }
  }

  /**
   * Refuses what no team can have.
   *
   * @throws IllegalArgumentException if that is not 1 to {@link #MOST} workers
   */
  public static int check(int workers) {
    if (workers < 1 || workers > MOST) {
      throw new IllegalArgumentException(
          "%,d threads cannot compute together; give 1 to %,d, and best one a core."
              .formatted(workers, MOST));
    }
    return workers;
  }

  public int workers() {
    return others.length + 1;
  }

  /** Which worker of a task this thread is: 0 for who runs it, and where there is none. */
  public int worker() {
    return Thread.currentThread() instanceof Worker worker && worker.team() == this
        ? worker.index
        : 0;
  }

  /** Whether the calling thread is a worker of some team. */
  public static boolean isWorker() {
    return Thread.currentThread() instanceof Worker;
  }

  /**
   * Runs all parts of a task and returns when all are done; what one throws first is thrown here,
   * and parts not yet begun are left out.
   *
   * @param parts how many parts; workers take the next part when they are free
   * @throws IllegalStateException if the team is closed
   */
  public void run(int parts, Part task) {
    if (Thread.currentThread() instanceof Worker worker && worker.team() == this) {
      throw nested();
    }
    runTask(parts, task);
  }

  private synchronized void runTask(int parts, Part task) {
    if (closed) {
      throw new IllegalStateException("This worker team is closed");
    }
    if (pending.get() != 0) {
      throw nested();
    }
    if (parts <= 0) {
      return;
    }
    if (parts == 1) {
      runAlone(task);
      return;
    }
    this.task = task;
    this.parts = parts;
    failure.set(null);
    pending.set(parts);
    ticket.set((((ticket.get() >>> 32) + 1) << 32) | parts);
    for (int i = 0; i < Math.min(others.length, parts - 1); i++) {
      others[i].wake();
    }
    takeParts(0);
    awaitOthers();
    this.task = NOTHING;
    Throwable thrown = failure.get();
    if (thrown != null) {
      failure.set(null);
      WorkerTeam.<RuntimeException>rethrow(thrown);
    }
  }

  /** What is one part is nobody else's business. */
  private void runAlone(Part task) {
    pending.set(1);
    try {
      task.run(0, 1, 0);
    } finally {
      pending.set(0);
    }
  }

  /** Ends the threads, after the task that runs. */
  @Override
  public synchronized void close() {
    closed = true;
    boolean interrupted = false;
    for (Worker worker : others) {
      LockSupport.unpark(worker);
      while (worker.isAlive()) {
        try {
          worker.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static IllegalStateException nested() {
    return new IllegalStateException("A part of a task cannot start a task on the same team");
  }

  private void takeParts(int worker) {
    while (true) {
      long current = ticket.get();
      int left = (int) current;
      if (left == 0) {
        return;
      }
      if (ticket.compareAndSet(current, current - 1)) {
        // The task cannot change while this part is pending.
        try {
          if (failure.get() == null) {
            task.run(parts - left, parts, worker);
          }
        } catch (Throwable t) {
          failure.compareAndSet(null, t);
        } finally {
          if (pending.decrementAndGet() == 0) {
            Thread caller = waiting;
            if (caller != null) {
              LockSupport.unpark(caller);
            }
          }
        }
      }
    }
  }

  private void awaitOthers() {
    for (int i = 0; i < spins; i++) {
      if (pending.get() == 0) {
        return;
      }
      Thread.onSpinWait();
    }
    boolean interrupted = false;
    waiting = Thread.currentThread();
    while (pending.get() != 0) {
      LockSupport.park(this);
      // An interrupt would make park return at once, again and again.
      interrupted |= Thread.interrupted();
    }
    waiting = null;
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> void rethrow(Throwable thrown) throws T {
    throw (T) thrown;
  }

  private final class Worker extends Thread {
    private final int index;
    private volatile boolean parked;

    Worker(int index) {
      super("knapsack-worker-" + index);
      setDaemon(true);
      this.index = index;
    }

    WorkerTeam team() {
      return WorkerTeam.this;
    }

    void wake() {
      if (parked) {
        LockSupport.unpark(this);
      }
    }

    @Override
    public void run() {
      while (!closed) {
        awaitTask();
        takeParts(index);
      }
    }

    private void awaitTask() {
      for (int i = 0; i < spins; i++) {
        if ((int) ticket.get() != 0) {
          return;
        }
        Thread.onSpinWait();
      }
      // The caller writes the ticket and then reads this flag; the order here is the reverse, so
      // one of the two always sees the other.
      parked = true;
      while ((int) ticket.get() == 0 && !closed) {
        LockSupport.park(WorkerTeam.this);
        Thread.interrupted();
      }
      parked = false;
    }
  }
}
