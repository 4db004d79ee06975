package dev.knapsack.file;

import java.net.URI;
import java.time.Duration;

/**
 * The attempts at a server: after each failure that may pass there is a wait, twice as long each
 * time or as long as the server asks for, and some day it is enough.
 */
final class Attempts {
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);

  private final StoreSettings settings;
  private final URI uri;
  private int failures;

  Attempts(StoreSettings settings, URI uri) {
    this.settings = settings;
    this.uri = uri;
  }

  /** Forgets the failures before: something has come since. */
  void progressed() {
    failures = 0;
  }

  /**
   * Waits until the next attempt.
   *
   * @throws DownloadException if this was the last
   */
  void failed(PassingFailure failure, String advice) throws InterruptedException {
    failures++;
    if (failures >= settings.attempts()) {
      throw new DownloadException(
          uri.toString(),
          "%s; gave up after %d attempts. %s".formatted(failure.getMessage(), failures, advice),
          failure);
    }
    Thread.sleep(wait(failures, failure.atLeast()));
  }

  /** The wait after so many failures, the last of which asks for this at least. */
  Duration wait(int count, Duration atLeast) {
    Duration backoff = settings.backoff().multipliedBy(1L << Math.clamp(count - 1, 0, 20));
    Duration wait = atLeast.compareTo(backoff) > 0 ? atLeast : backoff;
    return wait.compareTo(LONGEST_WAIT) > 0 ? LONGEST_WAIT : wait;
  }
}
