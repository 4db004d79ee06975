package dev.knapsack.engine;

import dev.knapsack.generation.Event;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A queue of an answer's events, from the thread that steps to the one that reads.
 *
 * <p>There is room as long as fewer than {@value Answer#AHEAD} tokens wait to be read; who writes
 * asks for that, and is told when there is room again. The lock is held for moments only.
 */
final class EventChannel {
  private final Runnable onRoom;
  private final Deque<Event> events = new ArrayDeque<>();

  /** Tokens among the events. */
  private int tokens;

  private boolean claimed;
  private boolean ended;
  private boolean abandoned;

  /** True once events are dropped, so that there is always room. */
  private boolean drained;

  /**
   * @param onRoom is called when there is room again, by the thread that reads
   */
  EventChannel(Runnable onRoom) {
    this.onRoom = onRoom;
  }

  /** Makes the caller its only reader. */
  synchronized void claim() {
    if (claimed) {
      throw takenTwice();
    }
    claimed = true;
  }

  static IllegalStateException takenTwice() {
    return new IllegalStateException("What an answer writes can be taken once.");
  }

  /** Adds events that come together: the reader wakes once. */
  synchronized void put(List<Event> more) {
    if (!drained && !more.isEmpty()) {
      for (Event event : more) {
        events.add(event);
        tokens += event instanceof Event.Token ? 1 : 0;
      }
      notifyAll();
    }
  }

  /** Adds the last events. */
  synchronized void end(List<Event> last) {
    ended = true;
    put(last);
    notifyAll();
  }

  synchronized boolean hasRoom() {
    return drained || tokens < Answer.AHEAD;
  }

  /** The next event, which stays, once it is there; null after the last. */
  synchronized @Nullable Event peek() throws InterruptedException {
    while (events.isEmpty() && !ended && !abandoned) {
      wait();
    }
    return events.peek();
  }

  /** Takes the next event, once it is there; null after the last. */
  @Nullable Event take() throws InterruptedException {
    Event event;
    boolean room;
    synchronized (this) {
      if (peek() == null) {
        return null;
      }
      event = events.remove();
      boolean full = tokens >= Answer.AHEAD;
      tokens -= event instanceof Event.Token ? 1 : 0;
      room = full && tokens < Answer.AHEAD;
    }
    if (room) {
      onRoom.run();
    }
    return event;
  }

  /** Waits for the end, for a reader who wants none of the events. */
  void awaitEnd() throws InterruptedException {
    drain();
    synchronized (this) {
      while (!ended) {
        wait();
      }
    }
  }

  /** Has the reader, if it waits or comes back, find nothing more. */
  void abandon() {
    synchronized (this) {
      abandoned = true;
      notifyAll();
    }
    drain();
  }

  private void drain() {
    synchronized (this) {
      claimed = true;
      drained = true;
      events.clear();
      tokens = 0;
    }
    onRoom.run();
  }
}
