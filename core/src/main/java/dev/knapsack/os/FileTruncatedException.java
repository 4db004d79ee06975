package dev.knapsack.os;

import java.io.IOException;
import java.nio.file.Path;

/** Thrown when a file ends before the last byte that was asked for. */
public final class FileTruncatedException extends IOException {
  private final long missing;

  FileTruncatedException(Path file, long offset, long bytes, long missing) {
    super(
        "%s ends early: of %,d bytes at offset %,d, %,d are missing"
            .formatted(file, bytes, offset, missing));
    this.missing = missing;
  }

  /** Bytes that were asked for and are not there. */
  public long missing() {
    return missing;
  }
}
