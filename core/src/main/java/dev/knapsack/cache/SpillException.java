package dev.knapsack.cache;

import java.nio.file.Path;

/** Cached tokens that memory has no room for could not be kept on disk. */
public final class SpillException extends RuntimeException {
  private static final long serialVersionUID = 1;

  SpillException(Path folder, String problem) {
    super(
        "Tokens of the KV cache cannot be kept in %s: %s. Free space there, name another folder, or ask for less context."
            .formatted(folder, problem));
  }

  SpillException(Path folder, Exception cause) {
    this(folder, cause.getMessage() == null ? cause.toString() : cause.getMessage());
    initCause(cause);
  }
}
