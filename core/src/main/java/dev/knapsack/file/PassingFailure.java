package dev.knapsack.file;

import java.net.http.HttpHeaders;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A failure that may pass: after a wait, what failed is tried again. */
final class PassingFailure extends Exception {
  private static final Pattern RESET = Pattern.compile(";\\s*t=(\\d{1,9})\\b");

  private final Duration wait;

  PassingFailure(String problem) {
    this(problem, Duration.ZERO, null);
  }

  PassingFailure(String problem, @Nullable Throwable cause) {
    this(problem, Duration.ZERO, cause);
  }

  private PassingFailure(String problem, Duration wait, @Nullable Throwable cause) {
    super(problem, cause);
    this.wait = wait;
  }

  /** The failure that an answer tells, if it is one of those that pass. */
  static Optional<PassingFailure> of(HttpAccess.Response response) {
    int status = response.status();
    if (status != 408 && status != 429 && status < 500) {
      return Optional.empty();
    }
    HttpHeaders headers = response.headers();
    Duration wait =
        headers
            .firstValue("Retry-After")
            .map(text -> retryAfter(text.strip(), ZonedDateTime.now(ZoneOffset.UTC)))
            .or(() -> headers.firstValue("RateLimit").map(PassingFailure::untilReset))
            .orElse(Duration.ZERO);
    return Optional.of(new PassingFailure("the server answers " + status, wait, null));
  }

  /** At least how long to wait. */
  Duration atLeast() {
    return wait;
  }

  /** The wait of the hub's own header, {@code "api";r=0;t=55}: seconds until it answers again. */
  static Duration untilReset(String rateLimit) {
    Matcher reset = RESET.matcher(rateLimit);
    return reset.find() ? Duration.ofSeconds(Long.parseLong(reset.group(1))) : Duration.ZERO;
  }

  /** Seconds, or a date (RFC 9110, 10.2.3); nothing if it is neither. */
  static Duration retryAfter(String text, ZonedDateTime now) {
    if (text.matches("\\d{1,9}")) {
      return Duration.ofSeconds(Long.parseLong(text));
    }
    try {
      ZonedDateTime then = ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME);
      return then.isAfter(now) ? Duration.between(now, then) : Duration.ZERO;
    } catch (DateTimeException e) {
      return Duration.ZERO;
    }
  }
}
