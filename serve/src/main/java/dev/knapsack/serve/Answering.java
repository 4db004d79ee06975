package dev.knapsack.serve;

import dev.knapsack.Generation;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.serve.http.Departures;
import dev.knapsack.serve.http.Exchange;
import java.io.EOFException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The answers to one request while they are written. When whoever asked goes away they end, within
 * a step.
 */
public final class Answering implements AutoCloseable {
  /** Takes an event of one of several answers. */
  @FunctionalInterface
  public interface Reader {
    /** Called by one thread at a time, for each answer in the order of its events. */
    void next(int index, Event event);
  }

  private final Exchange exchange;
  private final List<Generation> answers;
  private final Consumer<Answering> ended;
  private final Departures.Watch watch;

  /**
   * @param ended is told when it is closed
   */
  Answering(Exchange exchange, List<Generation> answers, Consumer<Answering> ended) {
    this.exchange = exchange;
    this.answers = answers;
    this.ended = ended;
    this.watch = exchange.watch(this::cancel);
  }

  /** The request that it answers. */
  public Exchange exchange() {
    return exchange;
  }

  public List<Generation> answers() {
    return answers;
  }

  /**
   * The whole answers, when all have ended.
   *
   * @throws UncheckedIOException if nobody waits for them any more
   */
  public List<Generation.Result> results() {
    List<Generation.Result> results = ends();
    if (results.stream().anyMatch(r -> r.reason() == FinishReason.CANCELLED)) {
      throw new UncheckedIOException(new EOFException("nobody waits for the answer"));
    }
    return results;
  }

  /** The answers, when all have ended, cancelled ones too. */
  public List<Generation.Result> ends() {
    try {
      return answers.stream().map(a -> a.result().toCompletableFuture().join()).toList();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException problem ? problem : e;
    }
  }

  /** Ends all answers where they are. */
  public void cancel() {
    answers.forEach(Generation::cancel);
  }

  /**
   * Reads all answers to their ends as they come.
   *
   * @throws RuntimeException what the reader has thrown; the answers end then
   */
  public void each(Reader reader) {
    if (answers.size() == 1) {
      try (Stream<Event> events = answers.getFirst().events()) {
        events.forEach(event -> reader.next(0, event));
      }
      return;
    }
    ReentrantLock reading = new ReentrantLock();
    AtomicReference<@Nullable Throwable> problem = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      int index = i;
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                try (Stream<Event> events = answers.get(index).events()) {
                  events.forEach(event -> {
                    reading.lock();
                    try {
                      reader.next(index, event);
                    } finally {
                      reading.unlock();
                    }
                  });
                } catch (RuntimeException | Error e) {
                  problem.compareAndSet(null, e);
                  cancel();
                }
              }));
    }
    join(threads);
    switch (problem.get()) {
      case null -> {}
      case Error e -> throw e;
      case RuntimeException e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
  }

  private void join(List<Thread> threads) {
    try {
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      cancel();
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    watch.close();
    answers.forEach(Generation::close);
    for (Generation answer : answers) {
      exchange.receipt().used(answer.usage());
      answer.finishReason().ifPresent(reason -> exchange.receipt().outcome(word(reason)));
    }
    ended.accept(this);
  }

  private static String word(FinishReason reason) {
    return reason.name().toLowerCase(Locale.ROOT);
  }
}
