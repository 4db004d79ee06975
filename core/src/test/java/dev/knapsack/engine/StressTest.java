package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheNotSavedException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Threads that do anything to two models in one budget that is too small for all of it: each call
 * ends, with what it would have had alone or with an exception that says why not; and at the end
 * every byte is back. {@code -Dknapsack.operations=50000} does more of it.
 */
@Timeout(600)
class StressTest {
  private static final int OPERATIONS = Integer.getInteger("knapsack.operations", 700);
  private static final int THREADS = 6;
  private static final int REQUESTS = 12;

  @TempDir Path folder;
  private final Map<String, AtomicInteger> counts = new ConcurrentHashMap<>();

  /** A model, what it answers, and sessions that all threads use. */
  private record Model(
      Engine engine, TinyModel.Failing file, List<int[]> alone, List<Session> sessions) {}

  private static Request request(int i) {
    int[] prompt = IntStream.range(0, 1 + 4 * i).map(t -> (t * 37 + i % 3) % 200).toArray();
    // With a seed no other answer changes what is computed, not even in rounding.
    return Request.of(prompt).withSampling(Sampling.GREEDY.withSeed(i)).withMaxTokens(3 + 5 * i);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void everyCallEndsAndEveryByteIsGivenBack(long seed) throws Exception {
    Budget budget = Budget.ofBytes(3_400_000);
    Host host = new Host(budget);
    CacheStore store = new CacheStore(folder.resolve("store"), 4L << 20);
    List<Throwable> wrong = new ArrayList<>();
    try (TinyModel.Failing first = open();
        TinyModel.Failing second = open()) {
      List<Model> models = List.of(model(first, host), model(second, host));
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < THREADS; t++) {
        SplittableRandom random = new SplittableRandom(seed * 100 + t);
        threads.add(
            Thread.ofPlatform()
                .unstarted(() -> {
                  try {
                    for (int i = 0; i < OPERATIONS / THREADS; i++) {
                      operate(models.get(random.nextInt(2)), budget, store, threads, random);
                    }
                  } catch (Throwable e) {
                    synchronized (wrong) {
                      wrong.add(e);
                    }
                  }
                }));
      }
      threads.forEach(Thread::start);
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(wrong).isEmpty();
      for (Model model : models) {
        assertThat(model.engine.waiting()).isZero();
        // Whatever was done to it, it answers.
        model.file.failAfter(Long.MAX_VALUE);
        model.sessions.forEach(Session::close);
        assertThat(taken(model.engine.start(request(4)))).isEqualTo(model.alone.get(4));
        model.engine.close();
      }
    }
    assertThat(budget.used()).isZero();
    assertThat(counts.keySet()).contains("answered", "cancelled", "saved", "interrupted", "read");
  }

  private TinyModel.Failing open() {
    return new TinyModel.Failing(ModelFile.open(TinyModel.dense(folder, Formats.Q8_0)));
  }

  private static Model model(TinyModel.Failing file, Host host) {
    Engine engine =
        Engine.open(
            file,
            null,
            TinyModel.plan(3, 16, TinyModel.streaming(true, 64 << 10, 0, 3)),
            host,
            Engine.Options.usual().withPrecision(Compute.Precision.EIGHT_BIT).withQueue(4));
    List<int[]> alone =
        IntStream.range(0, REQUESTS).mapToObj(i -> taken(engine.start(request(i)))).toList();
    return new Model(
        engine, file, alone, List.of(engine.session(), engine.session(), engine.session()));
  }

  private static int[] taken(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  private void count(String what) {
    counts.computeIfAbsent(what, w -> new AtomicInteger()).incrementAndGet();
  }

  private void operate(
      Model model, Budget budget, CacheStore store, List<Thread> threads, SplittableRandom random) {
    int number = random.nextInt(REQUESTS);
    Session session = model.sessions.get(random.nextInt(model.sessions.size()));
    String name = "s" + random.nextInt(4);
    Thread.interrupted();
    try {
      switch (random.nextInt(14)) {
        case 0, 1, 2 -> check(model, model.engine.start(request(number)), number);
        case 3 -> {
          for (Answer answer : model.engine.start(request(number), 2)) {
            check(model, answer, number);
          }
        }
        case 4, 5 -> check(model, session.start(request(number)), number);
        case 6 -> {
          try (Answer answer = model.engine.start(request(number))) {
            Thread.ofVirtual().start(answer::close);
            answer.text();
            count("cancelled");
          }
        }
        case 7 -> {
          count(session.save(store, name, CacheStore.Precision.AS_STORED) > 0 ? "saved" : "empty");
        }
        case 8 -> {
          session.restore(store, name);
          count("restored");
        }
        case 9 -> {
          model.engine.logits(request(number).prompt(), (_, _) -> {});
          count("read");
        }
        case 10 -> {
          try (Reading reading = model.engine.read(request(number).prompt(), (_, _) -> {});
              Reading fork = reading.fork()) {
            fork.read(new int[] {1, 2}, (_, _) -> {});
            model.engine.embedding(new int[] {1, 2}, new double[] {1, 1});
            count("read");
          }
        }
        case 11 -> threads.get(random.nextInt(threads.size())).interrupt();
        case 12 -> {
          try (Lease lease = budget.account("other").reserve(random.nextLong(400_000))) {
            count(lease.bytes() > 0 ? "leased" : "empty");
          }
        }
        default -> {
          model.file.failAfter(random.nextInt(30));
          try {
            model.engine.waiting();
          } finally {
            model.file.failAfter(Long.MAX_VALUE);
          }
        }
      }
    } catch (WaitInterruptedException e) {
      count("interrupted");
    } catch (BudgetExceededException | QueueFullException e) {
      count("refused");
    } catch (ModelFileException | CacheFileException | CacheNotSavedException e) {
      count("failed");
    } catch (IllegalStateException e) {
      assertThat(e).hasMessageContaining("still answering");
      count("busy");
    }
  }

  private void check(Model model, Answer answer, int number) {
    int[] tokens = taken(answer);
    assertThat(tokens).isEqualTo(model.alone.get(number));
    count("answered");
  }
}
