package dev.knapsack.serve.http;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.ShareExceededException;
import dev.knapsack.error.UnsupportedMediaException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A request that is not served: the message says what would be. */
public final class Refusal extends RuntimeException {
  /** The reason, which each API has its own words and status for. */
  public enum Kind {
    BAD_REQUEST(400),
    UNAUTHORIZED(401),
    NOT_FOUND(404),
    METHOD(405),
    TOO_LARGE(413),
    /** Too many wait, or a key has used up what it may; later it is served. */
    BUSY(429),
    FAILED(500),
    /** The server is about to end. */
    CLOSING(503);

    private final int status;

    Kind(int status) {
      this.status = status;
    }

    public int status() {
      return status;
    }
  }

  private static final String RATE_LIMIT = "rate_limit_exceeded";

  private final Kind kind;
  private final String code;
  private final @Nullable String field;
  private final double retrySeconds;

  private Refusal(
      Kind kind, String code, @Nullable String field, double retrySeconds, String message) {
    super(message);
    this.kind = kind;
    this.code = code;
    this.field = field;
    this.retrySeconds = retrySeconds;
  }

  /** A refusal of a kind; the code is a word for programs. */
  public static Refusal of(Kind kind, String code, String message) {
    return new Refusal(kind, code, null, 0, message);
  }

  /** A field that has a value that cannot be. */
  public static Refusal field(String name, String message) {
    return new Refusal(Kind.BAD_REQUEST, "invalid_value", name, 0, message);
  }

  /** Served when it comes again after this time, when a key has less used up. */
  public static Refusal rateLimit(double seconds, String message) {
    return busy(RATE_LIMIT, seconds, message);
  }

  /** Served when it comes again after this time. */
  public static Refusal busy(String code, double seconds, String message) {
    return new Refusal(Kind.BUSY, code, null, seconds, message);
  }

  /**
   * The refusal that a problem in the engine is.
   *
   * @param retrySeconds after which a request that finds the queue full may come again
   */
  public static Refusal of(Throwable problem, double retrySeconds) {
    String message = String.valueOf(problem.getMessage());
    return switch (problem) {
      case Refusal refusal -> refusal;
      case ContextExceededException _ -> of(Kind.BAD_REQUEST, "context_length_exceeded", message);
      case QueueFullException _ -> busy("queue_full", retrySeconds, message);
      case ShareExceededException e ->
          new Refusal(Kind.BUSY, RATE_LIMIT, null, e.isTooLarge() ? 0 : retrySeconds, message);
      case BudgetExceededException _ -> of(Kind.BAD_REQUEST, "does_not_fit", message);
      case UnsupportedMediaException _ -> of(Kind.BAD_REQUEST, "unsupported_media", message);
      case KnapsackException e ->
          switch (e.kind()) {
            case REQUEST -> of(Kind.BAD_REQUEST, "invalid_request", message);
            case MEMORY -> of(Kind.BAD_REQUEST, "does_not_fit", message);
            case BUSY -> busy("busy", retrySeconds, message);
            case CLOSED, INTERRUPTED -> of(Kind.CLOSING, "closing", "The server is about to end.");
            case FILE, DOWNLOAD -> of(Kind.FAILED, "failed", message);
          };
      case IllegalArgumentException _ -> of(Kind.BAD_REQUEST, "invalid_value", message);
      // What nobody expected is for the log, not for whoever asks.
      default ->
          of(Kind.FAILED, "internal", "Something went wrong in the server; its log says what.");
    };
  }

  public Kind kind() {
    return kind;
  }

  /** A word for programs, such as {@code context_length_exceeded}. */
  public String code() {
    return code;
  }

  /** Says whether it is whoever asks that has asked for too much, and not everybody together. */
  public boolean isRateLimit() {
    return code.equals(RATE_LIMIT);
  }

  /** The field of the body that is to blame. */
  public Optional<String> field() {
    return Optional.ofNullable(field);
  }

  /** Seconds after which to come again; 0 if that would not help. */
  public double retrySeconds() {
    return retrySeconds;
  }

  @Override
  public String getMessage() {
    return String.valueOf(super.getMessage());
  }

  /** Carries no trace: it is an answer. */
  @Override
  public Throwable fillInStackTrace() {
    return this;
  }
}
