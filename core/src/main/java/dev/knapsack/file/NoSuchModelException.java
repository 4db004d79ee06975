package dev.knapsack.file;

import dev.knapsack.error.KnapsackException;
import java.nio.file.Path;

/**
 * A model that is not in the local store: says which was asked for, and where it was looked for.
 */
public final class NoSuchModelException extends KnapsackException {
  public NoSuchModelException(String name, Path store) {
    super(
        Kind.FILE,
        "There is no model '%s' in %s; 'knapsack list' shows those that are."
            .formatted(name, store));
  }
}
