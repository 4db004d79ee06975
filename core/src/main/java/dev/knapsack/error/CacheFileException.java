package dev.knapsack.error;

import java.nio.file.Path;

/**
 * A saved cache that is not restored: says which file, what is wrong with it, and what would work.
 * Nothing of it has been taken; the prompt can be read instead.
 */
public final class CacheFileException extends KnapsackException {
  /** The kinds of things that are wrong with such a file. */
  public enum Problem {
    /** There is no such file. */
    MISSING,
    /** The file is of another kind. */
    NOT_A_CACHE,
    /** A version of the file's layout that is not known here. */
    VERSION,
    /** The file is shorter than it says. */
    TRUNCATED,
    /** A checksum or a count is wrong. */
    DAMAGED,
    /** The file is another model's. */
    MODEL,
    /** The model's layers, heads or rotary angles are others. */
    SHAPE,
    /** Keys and values are kept in other formats. */
    FORMATS,
    /** Tokens were kept by another recipe. */
    RECIPE,
    /** Another version of the engine computed it. */
    ENGINE,
    /** The file has more tokens than a sequence may have here. */
    TOO_LONG,
    /** The system cannot read it. */
    UNREADABLE
  }

  private final transient Path file;
  private final Problem problem;
  private final String reason;

  public CacheFileException(Path file, Problem problem, String message) {
    super(Kind.FILE, file + ": " + message);
    this.file = file;
    this.problem = problem;
    this.reason = message;
  }

  public CacheFileException(Path file, Problem problem, String message, Throwable cause) {
    super(Kind.FILE, file + ": " + message, cause);
    this.file = file;
    this.problem = problem;
    this.reason = message;
  }

  public Path file() {
    return file;
  }

  public Problem problem() {
    return problem;
  }

  /** The problem, without the file's name before it. */
  public String reason() {
    return reason;
  }
}
