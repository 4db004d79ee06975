package dev.knapsack.model;

/** Hears how far a long piece of work has come. */
@FunctionalInterface
public interface Progress {
  /** Hears nothing. */
  Progress NONE = (step, done, total) -> {};

  /**
   * @param step what is being done now, such as the name of a tensor
   * @param done bytes written so far
   * @param total bytes there will be
   */
  void at(String step, long done, long total);
}
