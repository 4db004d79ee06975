package dev.knapsack.tensor;

/** A number format that Knapsack does not know, or not there; the message names those it does. */
public final class UnsupportedFormatException extends RuntimeException {
  UnsupportedFormatException(String message) {
    super(message);
  }

  UnsupportedFormatException(String asked, String supported) {
    super("Unknown number format " + asked + "; supported are " + supported);
  }
}
