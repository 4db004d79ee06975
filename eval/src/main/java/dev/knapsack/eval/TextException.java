package dev.knapsack.eval;

/** A text or a file of questions cannot be measured with: says which, what is wrong, what works. */
public final class TextException extends RuntimeException {
  TextException(String message) {
    super(message);
  }

  TextException(String message, Throwable cause) {
    super(message, cause);
  }
}
