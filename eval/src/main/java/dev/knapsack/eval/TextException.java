package dev.knapsack.eval;

import dev.knapsack.error.KnapsackException;

/** A text or a file of questions cannot be measured with: says which, what is wrong, what works. */
public final class TextException extends KnapsackException {
  TextException(String message) {
    super(Kind.FILE, message);
  }

  TextException(String message, Throwable cause) {
    super(Kind.FILE, message, cause);
  }
}
