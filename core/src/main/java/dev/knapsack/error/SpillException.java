package dev.knapsack.error;

import java.nio.file.Path;

/** Cached tokens that memory has no room for could not be kept on disk. */
public final class SpillException extends KnapsackException {
  public SpillException(Path folder, String problem) {
    super(Kind.FILE, message(folder, problem));
  }

  public SpillException(Path folder, Exception cause) {
    super(
        Kind.FILE,
        message(folder, cause.getMessage() == null ? cause.toString() : cause.getMessage()),
        cause);
  }

  private static String message(Path folder, String problem) {
    return "Tokens of the KV cache cannot be kept in %s: %s. Free space there, name another folder, or ask for less context."
        .formatted(folder, problem);
  }
}
