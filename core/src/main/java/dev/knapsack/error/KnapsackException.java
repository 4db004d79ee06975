package dev.knapsack.error;

import org.jspecify.annotations.Nullable;

/**
 * The root of all that Knapsack throws for what went wrong outside it: memory, files, downloads,
 * requests. The message says what was given, what is wrong with it, and what would work.
 *
 * <p>An argument that no model and no budget could make right is an {@link
 * IllegalArgumentException}, and a failure of the disk itself an {@link
 * java.io.UncheckedIOException}.
 */
public abstract class KnapsackException extends RuntimeException {
  /** The part of the world that would have to be different. */
  public enum Kind {
    /** Memory: a budget, or what the operating system grants, is too small. */
    MEMORY,
    /** A file, or what stands in it. */
    FILE,
    /** A download. */
    DOWNLOAD,
    /** The request: what was asked for cannot be done by this model and this plan. */
    REQUEST,
    /** The moment: the same request may be served later. */
    BUSY,
    /** Somebody closed what was used. */
    CLOSED,
    /** Somebody interrupted the thread that waited. */
    INTERRUPTED
  }

  private final Kind kind;

  protected KnapsackException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  protected KnapsackException(Kind kind, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  public final Kind kind() {
    return kind;
  }
}
