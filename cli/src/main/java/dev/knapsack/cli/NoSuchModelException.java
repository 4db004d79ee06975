package dev.knapsack.cli;

/** The model that was named is nowhere to be found. */
final class NoSuchModelException extends RuntimeException {
  NoSuchModelException(String message) {
    super(message);
  }
}
