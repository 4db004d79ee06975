package dev.knapsack.error;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A cache that could not be saved; what was saved under its name before is still there. */
public final class CacheNotSavedException extends KnapsackException {
  private final long missing;

  public CacheNotSavedException(
      Path file, long missing, String message, @Nullable Throwable cause) {
    super(Kind.FILE, file + ": not saved: " + message, cause);
    this.missing = missing;
  }

  /** Bytes that the disk or the store has too few; 0 if that was not the reason. */
  public long missing() {
    return missing;
  }
}
