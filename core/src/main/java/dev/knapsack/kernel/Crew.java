package dev.knapsack.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The threads of {@link WorkerTeam}s, which serve one caller at a time, in the order of coming.
 *
 * <p>Between tasks workers spin briefly, then park, so that a step's many small tasks cost little
 * and an idle team costs nothing. A task is over when its parts are done, not when every worker has
 * seen it: a worker whose core is busy with something else delays nobody but the part it holds.
 */
final class Crew {
  /** Looks at a flag that costs a pause each: some tens of microseconds on current processors. */
  private static final int SPINS = 2_000;

  private static final WorkerTeam.Part NOTHING = (part, parts, worker) -> {};

  /** Held by the caller whose tasks run. */
  private final ReentrantLock turn = new ReentrantLock(true);

  /** The task's number in the upper half, its parts not yet taken in the lower. */
  private final AtomicLong ticket = new AtomicLong();

  /** Parts of the task not yet done. */
  private final AtomicInteger pending = new AtomicInteger();

  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

  /** All but the caller; guarded by the turn. */
  private final List<Worker> others = new ArrayList<>();

  // Written before the ticket that publishes them, and not again until no part is pending.
  private WorkerTeam.Part task = NOTHING;
  private int parts;
  private int workers;

  private volatile int spins = SPINS;
  private volatile @Nullable Thread waiting;
  private volatile boolean closed;

  /** Starts the threads that so many workers lack, the caller being one of them. */
  void grow(int count) {
    turn(() -> {
      checkOpen();
      while (others.size() < count - 1) {
        Worker worker = new Worker(others.size() + 1);
        worker.start();
        others.add(worker);
      }
      // Who spins on a core that another worker needs makes both slower.
      spins = others.size() < Runtime.getRuntime().availableProcessors() ? SPINS : 0;
      return count;
    });
  }

  int worker() {
    return Thread.currentThread() instanceof Worker worker && worker.crew() == this
        ? worker.index
        : 0;
  }

  static boolean isWorker() {
    return Thread.currentThread() instanceof Worker;
  }

  <T> T turn(Supplier<T> work) {
    checkCaller();
    turn.lock();
    try {
      return work.get();
    } finally {
      turn.unlock();
    }
  }

  /** Waits for something without the turn, and takes it again. */
  void rest(Runnable wait) {
    int held = turn.getHoldCount();
    if (held > 0 && pending.get() != 0) {
      throw nested();
    }
    for (int i = 0; i < held; i++) {
      turn.unlock();
    }
    try {
      wait.run();
    } finally {
      for (int i = 0; i < held; i++) {
        turn.lock();
      }
    }
  }

  /** Runs a task with the first {@code count} workers. */
  void run(int count, int parts, WorkerTeam.Part task) {
    checkCaller();
    turn.lock();
    try {
      runTask(count, parts, task);
    } finally {
      turn.unlock();
    }
  }

  private void runTask(int count, int parts, WorkerTeam.Part task) {
    checkOpen();
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
    this.workers = count;
    failure.set(null);
    pending.set(parts);
    ticket.set((((ticket.get() >>> 32) + 1) << 32) | parts);
    for (int i = 0; i < Math.min(count, parts) - 1; i++) {
      others.get(i).wake();
    }
    takeParts(0);
    awaitOthers();
    this.task = NOTHING;
    Throwable thrown = failure.get();
    if (thrown != null) {
      failure.set(null);
      Crew.<RuntimeException>rethrow(thrown);
    }
  }

  /** Runs a task of one part, without the others. */
  private void runAlone(WorkerTeam.Part task) {
    pending.set(1);
    try {
      task.run(0, 1, 0);
    } finally {
      pending.set(0);
    }
  }

  /** A worker that waited for its own team would wait for itself. */
  private void checkCaller() {
    if (Thread.currentThread() instanceof Worker worker && worker.crew() == this) {
      throw nested();
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("This worker team is closed");
    }
  }

  /** Ends the threads, after the turn that has begun. */
  void close() {
    turn(() -> {
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
      return closed;
    });
  }

  private static IllegalStateException nested() {
    return new IllegalStateException("A part of a task cannot start a task on the same team");
  }

  /** True where parts are left, and for this worker. */
  private boolean wanted(int worker) {
    return (int) ticket.get() != 0 && worker < workers;
  }

  private void takeParts(int worker) {
    while (true) {
      long current = ticket.get();
      int left = (int) current;
      if (left == 0 || worker >= workers) {
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
    for (int i = spins; i > 0; i--) {
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

    Crew crew() {
      return Crew.this;
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
      for (int i = spins; i > 0; i--) {
        if (wanted(index)) {
          return;
        }
        Thread.onSpinWait();
      }
      // The caller writes the ticket and then reads this flag; the order here is the reverse, so
      // one of the two always sees the other.
      parked = true;
      while (!wanted(index) && !closed) {
        LockSupport.park(Crew.this);
        Thread.interrupted();
      }
      parked = false;
    }
  }
}
