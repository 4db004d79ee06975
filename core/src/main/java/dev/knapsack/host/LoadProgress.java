package dev.knapsack.host;

/** Told how far loading a model has come. */
@FunctionalInterface
public interface LoadProgress {
  /** Tells nobody. */
  LoadProgress NONE = (done, total) -> {};

  /** {@code done} of {@code total} bytes of resident weights have been read. */
  void loaded(long done, long total);
}
