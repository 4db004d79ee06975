package dev.knapsack.error;

/** A number format that Knapsack does not know, or not there; the message names those it does. */
public final class UnsupportedFormatException extends KnapsackException {
  public UnsupportedFormatException(String message) {
    super(Kind.REQUEST, message);
  }

  public UnsupportedFormatException(String asked, String supported) {
    super(Kind.REQUEST, "Unknown number format " + asked + "; supported are " + supported);
  }
}
