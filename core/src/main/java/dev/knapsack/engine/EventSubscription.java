package dev.knapsack.engine;

import dev.knapsack.generation.Event;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Flow;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An answer's events on their way to a subscriber, as it reads them and as many as it has asked
 * for, by a virtual thread that waits for both.
 */
final class EventSubscription implements Flow.Subscription {
  /** The subscription of somebody who comes too late. */
  private static final Flow.Subscription NONE =
      new Flow.Subscription() {
        @Override
        public void request(long n) {}

        @Override
        public void cancel() {}
      };

  private final Answer answer;
  private final EventChannel channel;
  private final BiConsumer<Event, Consumer<Event>> reading;
  private final Flow.Subscriber<? super Event> subscriber;

  /** The next of the channel's events as it is read, as far as that was not taken. */
  private final Deque<Event> read = new ArrayDeque<>();

  // Guarded by this object.
  private long demand;
  private boolean cancelled;
  private boolean illegal;

  EventSubscription(
      Answer answer,
      EventChannel channel,
      BiConsumer<Event, Consumer<Event>> reading,
      Flow.Subscriber<? super Event> subscriber) {
    this.answer = answer;
    this.channel = channel;
    this.reading = reading;
    this.subscriber = subscriber;
  }

  /** Gives the subscriber all signals it is to have; in a thread of its own. */
  void run() {
    try {
      channel.claim();
    } catch (IllegalStateException e) {
      subscriber.onSubscribe(NONE);
      subscriber.onError(e);
      return;
    }
    try {
      signal();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      answer.cancel(); // if it has not ended
    }
  }

  private void signal() throws InterruptedException {
    subscriber.onSubscribe(this);
    for (Event next = peek(); next != null; next = peek()) {
      if (next instanceof Event.Failure(Throwable problem)) {
        subscriber.onError(problem);
        return;
      }
      if (!awaitDemand()) {
        break;
      }
      take();
      subscriber.onNext(next);
      if (next instanceof Event.End && !isCancelled()) {
        subscriber.onComplete();
        return;
      }
    }
    if (isIllegal()) {
      subscriber.onError(
          new IllegalArgumentException("0 events or fewer were requested; request 1 or more."));
    } else if (!isCancelled()) {
      subscriber.onError(EventChannel.takenTwice()); // by who waited for all of the answer
    }
  }

  /** The next event, which stays, once it is there; null after the last. */
  private @Nullable Event peek() throws InterruptedException {
    while (read.isEmpty()) {
      Event event = channel.peek();
      if (event == null) {
        return null;
      }
      reading.accept(event, read::add);
      if (read.isEmpty()) {
        channel.take(); // what it is shows later
      }
    }
    return read.element();
  }

  private void take() throws InterruptedException {
    read.remove();
    if (read.isEmpty()) {
      channel.take();
    }
  }

  /** Waits until something has been asked for; false if the subscription was cancelled first. */
  private synchronized boolean awaitDemand() throws InterruptedException {
    while (demand == 0 && !cancelled) {
      wait();
    }
    demand -= demand == Long.MAX_VALUE ? 0 : 1;
    return !cancelled;
  }

  private synchronized boolean isCancelled() {
    return cancelled;
  }

  private synchronized boolean isIllegal() {
    return illegal;
  }

  @Override
  public void request(long n) {
    synchronized (this) {
      if (cancelled) {
        return;
      }
      if (n > 0) {
        demand = demand + n < 0 ? Long.MAX_VALUE : demand + n;
        notifyAll();
        return;
      }
      illegal = true;
    }
    cancel();
  }

  @Override
  public void cancel() {
    synchronized (this) {
      cancelled = true;
      notifyAll();
    }
    channel.abandon();
  }
}
