package dev.knapsack.engine;

import dev.knapsack.generation.Event;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.function.BiConsumer;

/** Keeps the signals that it is given, in their order, and does something at each. */
public final class Recorder implements Flow.Subscriber<Event> {
  public final List<Event> events = new ArrayList<>();
  public final List<String> signals = new ArrayList<>();
  public final CompletableFuture<List<String>> end = new CompletableFuture<>();
  public final CompletableFuture<Flow.Subscription> subscription = new CompletableFuture<>();
  private final BiConsumer<Recorder, Integer> then;

  /**
   * @param then is told how many events there were, after each and at the beginning
   */
  public Recorder(BiConsumer<Recorder, Integer> then) {
    this.then = then;
  }

  public void request(long n) {
    subscription.join().request(n);
  }

  @Override
  public synchronized void onSubscribe(Flow.Subscription given) {
    signals.add("subscribed");
    subscription.complete(given);
    then.accept(this, 0);
  }

  @Override
  public synchronized void onNext(Event event) {
    signals.add("event");
    events.add(event);
    then.accept(this, events.size());
  }

  @Override
  public synchronized void onError(Throwable problem) {
    signals.add(problem.getMessage());
    end.complete(List.copyOf(signals));
  }

  @Override
  public synchronized void onComplete() {
    signals.add("complete");
    end.complete(List.copyOf(signals));
  }

  public synchronized int seen() {
    return events.size();
  }
}
