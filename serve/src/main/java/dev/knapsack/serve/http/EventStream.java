package dev.knapsack.serve.http;

import com.google.gson.JsonElement;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReentrantLock;

/**
 * An answer that comes in pieces: server-sent events, or lines of JSON. Each is on its way when the
 * method returns; a reader who is slow holds up the thread that writes. Methods throw an {@link
 * java.io.UncheckedIOException} when nobody reads any more. Safe for use by many threads.
 *
 * <p>Between events a comment is written every {@value #SILENCE_SECONDS} seconds, for clients that
 * drop a body that is silent.
 */
public final class EventStream implements AutoCloseable {
  static final int SILENCE_SECONDS = 10;

  private final Exchange exchange;
  private final ReentrantLock writing = new ReentrantLock();
  private final Departures.Reminder reminder;
  private volatile long last = System.nanoTime();
  private boolean closed;

  /**
   * @param comments whether its media type knows them
   */
  EventStream(Exchange exchange, Departures departures, boolean comments) {
    this.exchange = exchange;
    this.reminder =
        comments ? departures.every(SILENCE_SECONDS, this::comment) : Departures.Reminder.NONE;
  }

  /** An event without a name: a line of data. */
  public void data(String data) {
    write("data: " + data + "\n\n");
  }

  public void data(JsonElement data) {
    data(data.toString());
  }

  /** An event with a name. */
  public void event(String name, JsonElement data) {
    write("event: " + name + "\ndata: " + data + "\n\n");
  }

  /** A line of JSON. */
  public void line(JsonElement value) {
    write(value + "\n");
  }

  private void write(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    writing.lock();
    try {
      if (!closed) {
        exchange.write(false, bytes);
        last = System.nanoTime();
      }
    } finally {
      writing.unlock();
    }
  }

  /** Shows that the answer is still coming, where it is silent. */
  private void comment() {
    if (System.nanoTime() - last >= SILENCE_SECONDS * 1_000_000_000L && writing.tryLock()) {
      try {
        if (!closed) {
          exchange.write(false, ":\n\n".getBytes(StandardCharsets.UTF_8));
          last = System.nanoTime();
        }
      } finally {
        writing.unlock();
      }
    }
  }

  /** Ends the answer. */
  @Override
  public void close() {
    writing.lock();
    try {
      if (!closed) {
        closed = true;
        exchange.write(true, new byte[0]);
      }
    } finally {
      writing.unlock();
      reminder.close();
    }
  }
}
