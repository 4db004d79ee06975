package dev.knapsack.cli;

import dev.knapsack.error.KnapsackException;

/** A file that was named cannot be used: says which, what is wrong with it, and what would work. */
final class UnusableFileException extends KnapsackException {
  UnusableFileException(String message) {
    super(Kind.FILE, message);
  }

  UnusableFileException(String message, Throwable cause) {
    super(Kind.FILE, message, cause);
  }
}
