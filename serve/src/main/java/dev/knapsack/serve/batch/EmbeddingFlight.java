package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import dev.knapsack.serve.http.Fields;
import dev.knapsack.serve.http.Refusal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The requests of a batch for vectors, so many in flight at once that steps are full. Their order
 * does not matter: nothing of one is computed for another.
 */
final class EmbeddingFlight {
  private static final int AT_ONCE = 32;

  private final List<Integer> lines;
  private final IntFunction<Fields> bodies;
  private final Function<Fields, JsonObject> work;
  private final BatchFlight.Ending<JsonObject> replies;
  private final BatchFlight.Ending<Refusal> refusals;
  private final BooleanSupplier ended;
  private final AtomicInteger next = new AtomicInteger();
  private final AtomicReference<@Nullable Throwable> problem = new AtomicReference<>();

  /**
   * @param bodies reads the request of a line
   * @param work makes the reply to a request
   */
  EmbeddingFlight(
      List<Integer> lines,
      IntFunction<Fields> bodies,
      Function<Fields, JsonObject> work,
      BatchFlight.Ending<JsonObject> replies,
      BatchFlight.Ending<Refusal> refusals,
      BooleanSupplier ended) {
    this.lines = List.copyOf(lines);
    this.bodies = bodies;
    this.work = work;
    this.replies = replies;
    this.refusals = refusals;
    this.ended = ended;
  }

  /** A thread that is interrupted while it waits for vectors, and never while it uses a file. */
  private final class Caller {
    private final Thread thread = Thread.ofVirtual().unstarted(this::fly);
    private boolean waits; // guarded by this

    synchronized void interrupt() {
      if (waits) {
        thread.interrupt();
      }
    }

    private synchronized void waits(boolean value) {
      waits = value;
      if (!value) {
        Thread.interrupted();
      }
    }

    private JsonObject reply(Fields body) {
      waits(true);
      try {
        return work.apply(body);
      } finally {
        waits(false);
      }
    }

    private void fly() {
      try {
        while (problem.get() == null && !ended.getAsBoolean()) {
          int at = next.getAndIncrement();
          if (at >= lines.size()) {
            return;
          }
          answer(lines.get(at));
        }
      } catch (IOException | RuntimeException | Error e) {
        problem.compareAndSet(null, e);
      }
    }

    private void answer(int line) throws IOException {
      JsonObject reply;
      try {
        reply = reply(bodies.apply(line));
      } catch (UncheckedIOException e) {
        throw e;
      } catch (RuntimeException e) {
        refuse(line, Refusal.of(e, 1));
        return;
      }
      replies.accept(line, reply);
    }
  }

  /**
   * Answers all, until told to end.
   *
   * @throws IOException if what became of a line could not be written
   * @throws InterruptedException if it is interrupted; nothing is in flight any more then
   */
  void run() throws IOException, InterruptedException {
    List<Caller> callers = new ArrayList<>();
    for (int i = 0; i < Math.min(AT_ONCE, lines.size()); i++) {
      callers.add(new Caller());
    }
    callers.forEach(caller -> caller.thread.start());
    try {
      for (Caller caller : callers) {
        // Whoever says that this is to end wakes nobody.
        while (!caller.thread.join(Duration.ofSeconds(1))) {
          if (ended.getAsBoolean()) {
            callers.forEach(Caller::interrupt);
          }
        }
      }
    } finally {
      land(callers);
    }
    switch (problem.get()) {
      case null -> {}
      case IOException e -> throw e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
  }

  /** Writes a refusal, unless all is to end: then the line is left for another run. */
  private void refuse(int line, Refusal refusal) throws IOException {
    if (refusal.kind() != Refusal.Kind.CLOSING || !ended.getAsBoolean()) {
      refusals.accept(line, refusal);
    }
  }

  /** Ends what is in flight, if anything is. */
  private void land(List<Caller> callers) {
    boolean interrupted = false;
    for (Caller caller : callers) {
      while (caller.thread.isAlive()) {
        problem.compareAndSet(null, new InterruptedException());
        callers.forEach(Caller::interrupt);
        try {
          caller.thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
