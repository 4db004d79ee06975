package dev.knapsack.engine;

import dev.knapsack.generation.Event;
import java.util.concurrent.Flow;

/**
 * An answer's events on their way to a subscriber, as many as it has asked for, by a virtual thread
 * that waits for both.
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
  private final Flow.Subscriber<? super Event> subscriber;

  // Guarded by this object.
  private long demand;
  private boolean cancelled;
  private boolean illegal;

  EventSubscription(
      Answer answer, EventChannel channel, Flow.Subscriber<? super Event> subscriber) {
    this.answer = answer;
    this.channel = channel;
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
    for (Event next = channel.peek(); next != null; next = channel.peek()) {
      if (next instanceof Event.Failure(Throwable problem)) {
        subscriber.onError(problem);
        return;
      }
      if (!awaitDemand()) {
        break;
      }
      channel.take();
      subscriber.onNext(next);
      if (next instanceof Event.End && !isCancelled()) {
        subscriber.onComplete();
        return;
      }
    }
    if (isIllegal()) {
      subscriber.onError(
          new IllegalArgumentException("0 events or fewer were requested; request 1 or more."));
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
