package dev.knapsack.error;

/** Thrown when a message has a picture or a sound, and the model reads text alone. */
public final class UnsupportedMediaException extends KnapsackException {
  public UnsupportedMediaException(String type) {
    super(
        Kind.REQUEST,
        "A message has a part of type '%s', and this model reads text alone; leave it out."
            .formatted(type));
  }
}
