package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.cache.store.FullDisk;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheNotSavedException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Threads that do anything to two models in one budget that is too small for all of it, with disks
 * and kernels that fail now and then: each call ends, with what it would have had alone or with an
 * exception that says why not; and at the end every byte is back. {@code
 * -Dknapsack.operations=50000} does more of it.
 */
@Timeout(1200)
class StressTest {
  private static final int OPERATIONS = Integer.getInteger("knapsack.operations", 500);
  private static final int THREADS = 6;
  private static final int REQUESTS = 12;

  @TempDir Path folder;
  private final Budget budget = Budget.ofBytes(3_400_000);
  private final FailingKernels kernels = new FailingKernels();
  private final Host host = new Host(budget, Host.Options.of(kernels.choice()));
  private final Map<String, AtomicInteger> counts = new ConcurrentHashMap<>();
  private final List<Thread> threads = new ArrayList<>();

  /** A model that is closed now and then, and opened again. */
  private final class Model implements AutoCloseable {
    final TinyModel.Failing file =
        new TinyModel.Failing(ModelFile.open(TinyModel.dense(folder, Formats.Q8_0)));
    private volatile Engine engine = open();
    private volatile List<Session> sessions = sessions(engine);

    /** What it answers to each request. */
    final List<List<Event.Token>> alone =
        IntStream.range(0, REQUESTS)
            .mapToObj(i -> whole(engine.start(request(i))).tokens())
            .toList();

    private Engine open() {
      return Engine.open(
          file,
          null,
          TinyModel.withWorkers(
              TinyModel.plan(3, 16, TinyModel.streaming(true, 64 << 10, 0, 3)), 2),
          host,
          Engine.Options.usual().withPrecision(Compute.Precision.EIGHT_BIT).withQueue(4));
    }

    private static List<Session> sessions(Engine engine) {
      return List.of(engine.session(), engine.session(), engine.session());
    }

    /** Closes an engine of it while others use it, and opens another if there is room. */
    synchronized void reopen(Engine closed) {
      if (engine == closed) {
        engine.close();
        engine = open();
        sessions = sessions(engine);
      }
    }

    @Override
    public void close() {
      engine.close();
      file.close();
    }
  }

  private static Request request(int i) {
    int[] prompt = IntStream.range(0, 1 + 4 * i).map(t -> (t * 37 + i % 3) % 200).toArray();
    Sampling sampling =
        i % 2 == 0 ? Sampling.GREEDY : Sampling.DEFAULT.withPenalties(1.2f, 0.1f, 0.1f, 20);
    // With a seed no other answer changes what is computed, not even in rounding.
    return Request.of(prompt)
        .withSampling(sampling.withSeed(i))
        .withMaxTokens(3 + 5 * i)
        .withLogProbabilities(i % 3);
  }

  private static Answer.Result whole(Answer answer) {
    try (answer) {
      return answer.result(whole -> whole).toCompletableFuture().join();
    } catch (CompletionException e) {
      throw new Event.Failure(e.getCause()).thrown();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = 1)
  void everyCallEndsAndEveryByteIsGivenBack(long seed) throws Exception {
    CacheStore store = new CacheStore(folder.resolve("store"), 4L << 20);
    CacheStore full = FullDisk.store(folder.resolve("store"), 4L << 20, 20_000);
    List<Throwable> wrong = new ArrayList<>();
    try (Model first = new Model();
        Model second = new Model()) {
      List<Model> models = List.of(first, second);
      for (int t = 0; t < THREADS; t++) {
        SplittableRandom random = new SplittableRandom(seed * 100 + t);
        threads.add(
            Thread.ofPlatform()
                .unstarted(() -> {
                  try {
                    for (int i = 0; i < OPERATIONS / THREADS; i++) {
                      operate(
                          models.get(random.nextInt(2)),
                          random.nextInt(4) == 0 ? full : store,
                          random);
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
      kernels.failOnceAfter(Long.MAX_VALUE);
      for (Model model : models) {
        // Whatever was done to it, it answers.
        model.file.failAfter(Long.MAX_VALUE);
        model.sessions.forEach(Session::close);
        model.reopen(model.engine);
        assertThat(whole(model.engine.start(request(4))).tokens()).isEqualTo(model.alone.get(4));
        model.engine.close();
      }
    }
    assertThat(budget.used()).isZero();
    assertThat(counts.keySet())
        .contains("answered", "cancelled", "late", "saved", "interrupted", "read", "failed");
  }

  private void count(String what) {
    counts.computeIfAbsent(what, w -> new AtomicInteger()).incrementAndGet();
  }

  private void operate(Model model, CacheStore store, SplittableRandom random) {
    Engine engine = model.engine;
    int number = random.nextInt(REQUESTS);
    Session session = model.sessions.get(random.nextInt(model.sessions.size()));
    String name = "s" + random.nextInt(4);
    Thread.interrupted();
    try {
      switch (random.nextInt(20)) {
        case 0, 1, 2 -> check(model, engine.start(request(number)), number, random);
        case 3 -> {
          List<Answer> both = engine.start(request(number), 2);
          try (Answer first = both.getFirst();
              Answer second = both.getLast()) {
            check(model, first, number, random);
            // The second has another seed, which makes no difference where nothing is drawn.
            check(model, second, number % 2 == 0 ? number : -1, random);
          }
        }
        case 4, 5 -> check(model, session.start(request(number)), number, random);
        case 6 -> {
          Answer answer = engine.start(request(number));
          Thread.ofVirtual().start(answer::close);
          check(model, answer, number, random);
        }
        case 7 -> {
          whole(session.start(request(number)));
          long bytes = session.save(store, name, CacheStore.Precision.AS_STORED);
          count(bytes > 0 ? "saved" : "empty");
        }
        case 8 -> {
          session.restore(store, name);
          count("restored");
        }
        case 9 -> {
          engine.logits(request(number).prompt(), (_, _) -> {});
          count("read");
        }
        case 10 -> {
          try (Reading reading = engine.read(request(number).prompt(), (_, _) -> {});
              Reading fork = reading.fork()) {
            fork.read(new int[] {1, 2}, (_, _) -> {});
            engine.embedding(new int[] {1, 2}, new double[] {1, 1});
            count("read");
          }
        }
        case 11 -> threads.get(random.nextInt(threads.size())).interrupt();
        case 12 -> {
          try (Lease lease = budget.account("other").reserve(random.nextLong(400_000))) {
            count(lease.bytes() > 0 ? "leased" : "empty");
          }
        }
        case 13 ->
            check(
                model,
                engine.start(
                    request(number).withDeadline(Duration.ofNanos(random.nextInt(20_000_000)))),
                number,
                random);
        case 14 -> {
          try (Session own = engine.session()) {
            Answer answer = own.start(request(number));
            Thread.ofVirtual().start(own::close);
            check(model, answer, number, random);
          }
        }
        case 15 -> {
          // Whoever read it is gone, and nobody closes it: its memory comes back all the same.
          engine.start(request(number)).events().limit(3).forEach(_ -> {});
          count("left");
        }
        case 16 -> kernels.failOnceAfter(random.nextInt(20_000));
        case 17 -> {
          if (random.nextInt(10) == 0) {
            model.reopen(engine);
            count("reopened");
          }
        }
        default -> {
          model.file.failAfter(random.nextInt(30));
          try {
            engine.waiting();
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
    } catch (EngineClosedException e) {
      closed(model, engine);
    } catch (IllegalStateException e) {
      assertThat(e).hasMessageMatching(".*(still answering|on fire).*");
      count("busy");
    }
  }

  /** Somebody has closed it, and maybe found no room to open it again. */
  private void closed(Model model, Engine engine) {
    count("closed");
    try {
      model.reopen(engine);
    } catch (RuntimeException e) {
      assertThat(e).isInstanceOfAny(KnapsackException.class, IllegalStateException.class);
      count("still closed");
    }
  }

  /**
   * Takes an answer in some way: it is what it would be alone, or the beginning of that.
   *
   * @param number of its request; -1 if nobody knows what it would be
   */
  private void check(Model model, Answer answer, int number, SplittableRandom random) {
    List<Event.Token> tokens = new ArrayList<>();
    FinishReason reason;
    if (random.nextBoolean()) {
      Answer.Result result = whole(answer);
      tokens.addAll(result.tokens());
      reason = result.reason();
    } else {
      answer
          .events()
          .forEach(event -> {
            switch (event) {
              case Event.Token token -> tokens.add(token);
              case Event.Failure failed -> throw failed.thrown();
              default -> {}
            }
          });
      reason = answer.finishReason().orElseThrow();
    }
    switch (reason) {
      case MAX_TOKENS -> count("answered");
      case DEADLINE -> count("late");
      case CANCELLED -> count("cancelled");
      default -> throw new AssertionError(reason);
    }
    if (number >= 0) {
      List<Event.Token> alone = model.alone.get(number);
      assertThat(tokens)
          .as("%s of request %d", reason, number)
          .isEqualTo(reason == FinishReason.MAX_TOKENS ? alone : alone.subList(0, tokens.size()));
    }
  }
}
