package dev.knapsack.kernel;

import java.util.function.Supplier;

/**
 * A number of threads that work on one task together; the caller is the first of them.
 *
 * <p>Teams of different sizes can be {@linkplain #of made of} the same threads, which then serve
 * one caller at a time: whoever comes first keeps them for a task, or for a {@linkplain #turn turn}
 * of many, and who waits is served in the order of coming. A part may not start a task.
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

  private final Crew crew;
  private final int workers;

  private WorkerTeam(Crew crew, int workers) {
    check(workers);
    this.crew = crew;
    this.workers = workers;
    crew.grow(workers);
  }

  /**
   * Starts {@code workers − 1} threads, named {@code knapsack-worker-1} and so on.
   *
   * @throws IllegalArgumentException if that is not 1 to {@link #MOST} workers
   */
  public WorkerTeam(int workers) {
    this(new Crew(), workers);
  }

  /**
   * A team of so many of the same threads, more of which are started if need be; the threads end
   * when any of their teams is closed.
   *
   * @throws IllegalArgumentException if that is not 1 to {@link #MOST} workers
   * @throws IllegalStateException if the threads have ended
   */
  public WorkerTeam of(int count) {
    return new WorkerTeam(crew, count);
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
    return workers;
  }

  /** Number of this thread among a task's workers: 0 for who runs it, and where there is none. */
  public int worker() {
    return crew.worker();
  }

  /** True on a thread that is a worker of some team. */
  public static boolean isWorker() {
    return Crew.isWorker();
  }

  /**
   * Runs all parts of a task and returns when all are done; what one throws first is thrown here,
   * and parts not yet begun are left out.
   *
   * @param parts how many parts; workers take the next part when they are free
   * @throws IllegalStateException if the team is closed
   */
  public void run(int parts, Part task) {
    crew.run(workers, parts, task);
  }

  /**
   * Does work whose tasks are not to be interleaved with those of others: the threads are the
   * caller's until it returns. A turn within a turn is a part of it.
   */
  public <T> T turn(Supplier<T> work) {
    return crew.turn(work);
  }

  /** Runs work without a result as a turn. */
  public void turn(Runnable work) {
    crew.turn(() -> {
      work.run();
      return this;
    });
  }

  /**
   * Waits for something else than computing, between two tasks; if it is the caller's turn, others
   * have the threads meanwhile.
   */
  public void rest(Runnable wait) {
    crew.rest(wait);
  }

  /** Ends the threads, after the task that runs or the turn that has begun. */
  @Override
  public void close() {
    crew.close();
  }
}
