package dev.knapsack.file;

import org.jspecify.annotations.Nullable;

/** A download that did not succeed: says from where, what went wrong, and what would help. */
public final class DownloadException extends RuntimeException {
  public DownloadException(String address, String problem) {
    this(address, problem, null);
  }

  public DownloadException(String address, String problem, @Nullable Throwable cause) {
    super(address + ": " + problem, cause);
  }
}
