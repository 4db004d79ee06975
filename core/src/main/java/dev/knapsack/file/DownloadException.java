package dev.knapsack.file;

import dev.knapsack.error.KnapsackException;
import org.jspecify.annotations.Nullable;

/** A download that did not succeed: says from where, what went wrong, and what would help. */
public final class DownloadException extends KnapsackException {
  public DownloadException(String address, String problem) {
    this(address, problem, null);
  }

  public DownloadException(String address, String problem, @Nullable Throwable cause) {
    super(Kind.DOWNLOAD, address + ": " + problem, cause);
  }
}
