package dev.knapsack.serve;

import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.http.Departures;
import dev.knapsack.serve.http.Exchange;
import java.io.EOFException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/** A model that reads texts and writes none. */
public abstract sealed class ServedEncoder implements Served
    permits ServedEmbedder, ServedReranker {
  private final String name;
  private final Instant opened = Instant.now();
  private final Set<Exchange> active = ConcurrentHashMap.newKeySet();
  private final LongAdder tokens = new LongAdder();

  ServedEncoder(String name) {
    this.name = name;
  }

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final Instant opened() {
    return opened;
  }

  @Override
  public final long tokens() {
    return tokens.sum();
  }

  @Override
  public final boolean isIdle() {
    return active.isEmpty();
  }

  /** The requests that are being computed, or wait for that, in no order. */
  public final List<Exchange> active() {
    return List.copyOf(active);
  }

  /**
   * Computes for a request; what waits its turn is computed no more once whoever asked has gone
   * away.
   *
   * @param counting tells the tokens that were read
   * @throws UncheckedIOException if nobody waits for the result any more
   */
  final <T> T compute(Exchange exchange, Supplier<T> work, ToIntFunction<T> counting) {
    exchange.receipt().model(name);
    active.add(exchange);
    try (Departures.Watch _ = exchange.watch(Thread.currentThread()::interrupt)) {
      T result = work.get();
      int count = counting.applyAsInt(result);
      double seconds = exchange.receipt().seconds();
      exchange.receipt().used(new Usage(count, 0, 0, seconds, 0, seconds, 0, 0));
      tokens.add(count);
      return result;
    } catch (WaitInterruptedException e) {
      Thread.interrupted(); // the connection is still to be closed, which an interrupt would break
      exchange.receipt().outcome("cancelled");
      throw new UncheckedIOException(new EOFException("nobody waits for the answer"));
    } finally {
      active.remove(exchange);
    }
  }
}
