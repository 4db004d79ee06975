package dev.knapsack.cli;

/** A file that was named cannot be used: says which, what is wrong with it, and what would work. */
final class UnusableFileException extends RuntimeException {
  UnusableFileException(String message) {
    super(message);
  }

  UnusableFileException(String message, Throwable cause) {
    super(message, cause);
  }
}
