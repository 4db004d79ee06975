package dev.knapsack.error;

import java.nio.file.Path;

/**
 * A model file that cannot be used: says which file, which field of it, what is wrong, and what is
 * supported.
 */
public final class ModelFileException extends KnapsackException {
  public ModelFileException(Path file, String field, String problem) {
    super(Kind.FILE, file + ": " + readable(field) + ": " + problem);
  }

  public ModelFileException(Path file, String field, String problem, Throwable cause) {
    super(Kind.FILE, file + ": " + readable(field) + ": " + problem, cause);
  }

  /** A name out of a damaged file may be long, and anything but printable. */
  private static String readable(String field) {
    String start = field.length() > 100 ? field.substring(0, 100) + "…" : field;
    return start.replaceAll("\\p{Cntrl}", "\uFFFD");
  }
}
