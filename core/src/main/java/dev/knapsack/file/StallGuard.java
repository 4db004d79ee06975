package dev.knapsack.file;

import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;

/** Closes a stream that stands still for too long, so that whoever reads it gets an error. */
final class StallGuard implements AutoCloseable {
  private final Thread watcher;
  private volatile long lastMove = System.nanoTime();
  private volatile boolean stalled;

  StallGuard(InputStream stream, Duration most) {
    watcher = Thread.ofVirtual().name("download watcher").start(() -> watch(stream, most));
  }

  /** Notes that something came. */
  void moved() {
    lastMove = System.nanoTime();
  }

  boolean stalled() {
    return stalled;
  }

  @Override
  public void close() {
    watcher.interrupt();
  }

  private void watch(InputStream stream, Duration most) {
    try {
      while (true) {
        long left = most.toNanos() - (System.nanoTime() - lastMove);
        if (left <= 0) {
          stalled = true;
          stream.close();
          return;
        }
        Thread.sleep(Duration.ofNanos(left));
      }
    } catch (InterruptedException | IOException ended) {
      // The reader is done, or gets its error from the stream.
    }
  }
}
