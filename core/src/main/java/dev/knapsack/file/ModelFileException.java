package dev.knapsack.file;

import java.nio.file.Path;

/**
 * A model file that cannot be used: says which file, which field of it, what is wrong, and what is
 * supported.
 */
public final class ModelFileException extends RuntimeException {
  public ModelFileException(Path file, String field, String problem) {
    super(file + ": " + field + ": " + problem);
  }

  public ModelFileException(Path file, String field, String problem, Throwable cause) {
    super(file + ": " + field + ": " + problem, cause);
  }
}
