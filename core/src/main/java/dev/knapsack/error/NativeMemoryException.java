package dev.knapsack.error;

import org.jspecify.annotations.Nullable;

/** Thrown when the operating system refuses memory that the budget still had. */
public final class NativeMemoryException extends KnapsackException {
  public NativeMemoryException(String message) {
    super(Kind.MEMORY, message);
  }

  public NativeMemoryException(long bytes, @Nullable Throwable cause) {
    super(
        Kind.MEMORY,
        "The operating system refused to map %,d bytes that the budget has free: a limit on the process's address space (ulimit -v) or strict overcommit is smaller than the budget"
            .formatted(bytes),
        cause);
  }
}
