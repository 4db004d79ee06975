package dev.knapsack.engine;

import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.kernel.WorkerTeam;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The one thread that computes while a model is open, and its inbox.
 *
 * <p>All that sequences hold belongs to this thread: sessions, caches, pools, the prefix tree.
 * Others hand it work and wait for what comes of it. A turn does all that was {@linkplain #ask
 * asked}, then a step for the answers that want one, then one piece of work that wants the model
 * {@linkplain #alone for itself}: neither keeps the other from its turn. What work throws is thrown
 * to whoever waits for it, and the loop goes on.
 */
final class StepLoop {
  /** The work that the loop does between what others ask for; used on its thread alone. */
  interface Steps {
    /** Does what is due by now, whether anybody asks or not. */
    void elapse();

    /** Nanoseconds until something is due; the longest there are if nothing will be. */
    long untilDue();

    /** Says whether a step would have something to compute. */
    boolean wanted();

    /** Computes a step; what goes wrong is told to those whom it was for, and not thrown. */
    void step();

    /** Lets in who waits: no part of a step, so that others can be asked to give back for it. */
    void serve();

    /** Ends all that is under way: the last thing that happens on the thread. */
    void end();
  }

  private static final class Stepper extends Thread {
    private final StepLoop loop;

    /** True while it computes: others may wait for that, so that it must not wait for them. */
    private volatile boolean computing;

    Stepper(StepLoop loop) {
      super("knapsack-step");
      this.loop = loop;
      setDaemon(true);
    }

    @Override
    public void run() {
      loop.turns();
    }
  }

  /** Work that somebody waits for. */
  private static final class Task<T> extends FutureTask<T> {
    /** The loop whose thread waits, and serves its own inbox meanwhile; null for other threads. */
    private final @Nullable StepLoop waiter;

    Task(Supplier<T> work) {
      super(work::get);
      waiter = Thread.currentThread() instanceof Stepper other ? other.loop : null;
    }

    @Override
    protected void done() {
      if (waiter != null) {
        waiter.wake();
      }
    }
  }

  private final Steps steps;
  private final Stepper thread = new Stepper(this);

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  // Guarded by the lock.
  private final Deque<Task<?>> givingBack = new ArrayDeque<>();
  private final Deque<Task<?>> asked = new ArrayDeque<>();
  private final Deque<Task<?>> alone = new ArrayDeque<>();
  private boolean woken;
  private boolean closed;

  /**
   * A loop whose thread has not been started yet.
   *
   * @param steps are used once it has
   */
  StepLoop(Steps steps) {
    this.steps = steps;
  }

  void start() {
    thread.start();
  }

  /**
   * Does something before the next step: what is quick, and changes who computes what.
   *
   * @throws EngineClosedException if the loop is closed
   * @throws WaitInterruptedException if the calling thread is interrupted before it has begun
   */
  <T> T ask(Supplier<T> work) {
    return here() ? work.get() : await(asked, work);
  }

  /**
   * Does something that computes, in its turn, with the model for itself.
   *
   * @throws EngineClosedException if the loop is closed
   * @throws WaitInterruptedException if the calling thread is interrupted before it has begun
   */
  <T> T alone(Supplier<T> work) {
    if (here()) {
      throw new IllegalStateException("What the engine does cannot wait for its next step.");
    }
    return await(alone, work);
  }

  /** Has those let in who wait, before the next step. */
  void serve() {
    put(
        asked,
        new Task<>(() -> {
          steps.serve();
          return this;
        }));
  }

  /**
   * Does something between steps whatever happens: an interrupt is left for later, and when the
   * loop has ended, the calling thread does it.
   */
  <T> T settle(Supplier<T> work) {
    if (here()) {
      return work.get();
    }
    Task<T> task = new Task<>(work);
    if (put(asked, task)) {
      try {
        return result(task);
      } catch (EngineClosedException e) {
        // closed before its turn came
      }
    }
    awaitEnd();
    synchronized (thread) {
      return work.get();
    }
  }

  /** The same for what has no result. */
  void settle(Runnable work) {
    settle(() -> {
      work.run();
      return true;
    });
  }

  /**
   * Does something about memory that is to be given back, between steps, or while this loop itself
   * waits for memory of another.
   *
   * @param otherwise what comes of it where the calling thread cannot wait, since it computes
   *     itself and this loop could be waiting for that; or where the loop is closed
   */
  <T> T giveBack(Supplier<T> work, T otherwise) {
    if (here()) {
      return work.get();
    }
    Stepper own = Thread.currentThread() instanceof Stepper stepper ? stepper : null;
    Task<T> task = new Task<>(work);
    if (WorkerTeam.isWorker() || (own != null && own.computing) || !put(givingBack, task)) {
      return otherwise;
    }
    if (own != null) {
      own.loop.serveUntil(task);
    }
    try {
      return result(task);
    } catch (EngineClosedException e) {
      return otherwise;
    }
  }

  private void serveUntil(Task<?> task) {
    while (!task.isDone()) {
      runAll(givingBack);
      lock.lock();
      try {
        while (!woken && !task.isDone() && givingBack.isEmpty()) {
          changed.awaitUninterruptibly();
        }
        woken = false;
      } finally {
        lock.unlock();
      }
    }
    wake(); // who waits for more than this task
  }

  /** Has the loop look again whether a step is wanted. */
  void wake() {
    lock.lock();
    try {
      woken = true;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Says whether something is being computed now. */
  boolean isComputing() {
    return thread.computing;
  }

  private boolean here() {
    return Thread.currentThread() == thread;
  }

  /** Ends the loop after the step under way, and returns when it has ended. */
  void close() {
    refuse();
    awaitEnd();
  }

  /** Takes no more work, and gives up what waits. */
  private void refuse() {
    List<Task<?>> left = new ArrayList<>();
    lock.lock();
    try {
      closed = true;
      for (Deque<Task<?>> queue : List.of(givingBack, asked, alone)) {
        left.addAll(queue);
        queue.clear();
      }
      changed.signal();
    } finally {
      lock.unlock();
    }
    left.forEach(task -> task.cancel(false));
  }

  private void awaitEnd() {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void turns() {
    try {
      while (next()) {
        runAll(givingBack);
        runAll(asked);
        steps.elapse();
        if (steps.wanted()) {
          compute(steps::step);
          steps.serve();
        }
        Task<?> turn = poll(alone);
        if (turn != null) {
          compute(turn);
          steps.serve();
        }
      }
    } finally {
      refuse(); // also after a defect: nobody may wait for what does not come
      steps.end();
    }
  }

  private void compute(Runnable work) {
    thread.computing = true;
    try {
      work.run();
    } finally {
      thread.computing = false;
    }
  }

  /** Waits for something to do; false when the loop is to end. */
  private boolean next() {
    long left = steps.wanted() ? 0 : steps.untilDue();
    lock.lock();
    try {
      while (left > 0
          && !woken
          && !closed
          && givingBack.isEmpty()
          && asked.isEmpty()
          && alone.isEmpty()) {
        left = changed.awaitNanos(left);
      }
      woken = false;
      return !closed;
    } catch (InterruptedException e) {
      return !closed; // the turn comes earlier, that is all
    } finally {
      lock.unlock();
    }
  }

  /** Does what is in a queue now: what comes meanwhile has its turn after the next step. */
  private void runAll(Deque<Task<?>> queue) {
    List<Task<?>> now = new ArrayList<>();
    lock.lock();
    try {
      now.addAll(queue);
    } finally {
      lock.unlock();
    }
    for (Task<?> task : now) {
      if (withdraw(queue, task)) {
        task.run();
      }
    }
  }

  private @Nullable Task<?> poll(Deque<Task<?>> queue) {
    lock.lock();
    try {
      return queue.poll();
    } finally {
      lock.unlock();
    }
  }

  /** Puts work in a queue; false if the loop is closed. */
  private boolean put(Deque<Task<?>> queue, Task<?> task) {
    lock.lock();
    try {
      if (!closed) {
        queue.add(task);
        changed.signal();
      }
      return !closed;
    } finally {
      lock.unlock();
    }
  }

  private <T> T await(Deque<Task<?>> queue, Supplier<T> work) {
    Task<T> task = new Task<>(work);
    if (!put(queue, task)) {
      throw new EngineClosedException("engine");
    }
    try {
      return task.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      if (withdraw(queue, task)) {
        throw new WaitInterruptedException();
      }
      return result(task);
    } catch (ExecutionException | CancellationException e) {
      return result(task);
    }
  }

  private boolean withdraw(Deque<Task<?>> queue, Task<?> task) {
    lock.lock();
    try {
      return queue.remove(task);
    } finally {
      lock.unlock();
    }
  }

  /** The outcome of a task, once it is done; an interrupt is left for later. */
  private static <T> T result(Task<T> task) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (CancellationException e) {
          throw new EngineClosedException("engine");
        } catch (ExecutionException e) {
          switch (e.getCause()) {
            case RuntimeException problem -> throw problem;
            case Error error -> throw error;
            case null, default -> throw new IllegalStateException(e);
          }
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
