package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.KnapsackException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;

/** Two models in one host: what they share, and how one gives way to the other. */
@Isolated // counts threads
@Timeout(300)
@SuppressWarnings("try") // some close what they hold before the end, to see what others get
class HostTest {
  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");
  private final Host host = new Host(budget);
  private final Account other = budget.account("other");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
    assertThat(workers()).isZero();
  }

  private static long workers() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t.getName().startsWith("knapsack-worker-"))
        .count();
  }

  private Engine open(ModelFile file, int workers, Engine.Options options) {
    Plan plan = TinyModel.plan(2, 16, TinyModel.RESIDENT);
    Plan shared =
        new Plan(
            plan.model(),
            plan.budget(),
            plan.context(),
            plan.sequences(),
            plan.cache(),
            plan.prefillChunk(),
            workers,
            plan.weights(),
            List.of(new Plan.Share("jvm", 100_000L * workers, "")),
            List.of(),
            plan.prediction());
    return Engine.open(file, null, shared, host, options);
  }

  private static ModelFile model() {
    return ModelFile.open(TinyModel.dense(folder, Formats.F16));
  }

  private static Request request(int i) {
    int[] prompt = IntStream.range(0, 1 + 5 * i).map(t -> (t * 37 + i) % 200).toArray();
    return Request.of(prompt).withSampling(Sampling.GREEDY.withSeed(i)).withMaxTokens(3 + 4 * i);
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  @Test
  void threadsAreAsManyAsTheLargestModelWantsAndTheJvmIsCountedOnce() {
    Account jvm = budget.account("jvm");
    try (ModelFile file = model();
        Engine first = open(file, 2, Engine.Options.usual())) {
      assertThat(workers()).isEqualTo(1);
      assertThat(jvm.used()).isEqualTo(200_000);
      int[] alone = tokens(first.start(request(3)));
      Engine second = open(file, 3, Engine.Options.usual());
      assertThat(workers()).isEqualTo(2);
      assertThat(jvm.used()).isEqualTo(300_000);
      try (Engine third = open(file, 1, Engine.Options.usual())) {
        assertThat(workers()).isEqualTo(2);
        assertThat(jvm.used()).isEqualTo(300_000);
        assertThat(tokens(second.start(request(3)))).isEqualTo(alone);
        second.close();
        assertThat(jvm.used()).isEqualTo(300_000);
        assertThat(tokens(third.start(request(3)))).isEqualTo(alone);
      }
      assertThat(tokens(first.start(request(3)))).isEqualTo(alone);
    }
    assertThat(jvm.used()).isZero();
  }

  @Test
  void aStepThatWaitsForTheDiskLeavesTheThreadsToOthers() throws Exception {
    CountDownLatch reading = new CountDownLatch(1);
    CountDownLatch mayRead = new CountDownLatch(1);
    AtomicBoolean slow = new AtomicBoolean();
    Runnable before =
        () -> {
          if (slow.get() && Thread.currentThread().getName().equals("knapsack-reader")) {
            reading.countDown();
            try {
              mayRead.await();
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          }
        };
    try (ModelFile file = model();
        Engine streaming =
            Engine.open(
                new TinyModel.Watched(file) {
                  @Override
                  void before(TensorInfo tensor) {
                    before.run();
                  }
                },
                null,
                TinyModel.plan(1, 16, TinyModel.streaming(true, 64 << 10, 0, 3)),
                host,
                Engine.Options.usual());
        Engine resident = open(file, 2, Engine.Options.usual())) {
      int[] alone = tokens(streaming.start(request(3)));
      slow.set(true);
      try (Answer waits = streaming.start(request(3))) {
        reading.await();
        assertThat(tokens(resident.start(request(3)))).isEqualTo(alone);
        mayRead.countDown();
        assertThat(tokens(waits)).isEqualTo(alone);
      }
    }
  }

  @Test
  void aModelGivesUpWhatItKeepsForAnotherBothWays() {
    try (ModelFile file = model();
        Engine first = open(file, 2, Engine.Options.usual());
        Engine second = open(file, 2, Engine.Options.usual());
        Session one = first.session();
        Session two = second.session()) {
      int[] alone = tokens(one.start(request(3)));
      try (Lease _ = other.reserve(budget.free())) {
        // Idle sessions of the other model are all that there is.
        for (int i = 0; i < 3; i++) {
          assertThat(tokens(two.start(request(3)))).isEqualTo(alone);
          assertThat(one.cachedTokens()).isZero();
          assertThat(tokens(one.start(request(3)))).isEqualTo(alone);
          assertThat(two.cachedTokens()).isZero();
        }
      }
    }
  }

  @Test
  void aRequestWaitsForTheAnswersOfAnotherModelToEnd() {
    try (ModelFile file = model();
        Engine first = open(file, 2, Engine.Options.usual());
        Engine second = open(file, 2, Engine.Options.usual());
        Engine third = open(file, 2, Engine.Options.usual().withQueue(0))) {
      int[] alone = tokens(second.start(request(3)));
      Request whole = request(3).withMaxTokens(TinyModel.CONTEXT);
      Answer busy = first.start(TinyModel.ENDLESS);
      try (Lease _ = other.reserve(other.available())) {
        Answer waits = second.start(request(3));
        assertThat(second.waiting()).isEqualTo(1);
        // Who cannot wait is told so.
        assertThatThrownBy(() -> third.start(whole)).isInstanceOf(BudgetExceededException.class);
        // Nobody takes this one; but somebody waits, so that it goes on.
        Answer ahead = first.start(request(5));
        busy.cancel();
        assertThat(tokens(waits)).isEqualTo(alone);
        assertThat(tokens(ahead)).hasSize(23);
        assertThat(second.waiting()).isZero();
        assertThat(budget.isClaimed()).isFalse();
      }
    }
  }

  @Test
  void whoeverGoesAwayGivesUpThePlaceInTheQueueOfAllModels() {
    try (ModelFile file = model();
        Engine first = open(file, 2, Engine.Options.usual());
        Engine second = open(file, 2, Engine.Options.usual())) {
      Answer busy = first.start(TinyModel.ENDLESS);
      Lease rest = other.reserve(other.available());
      Answer waits = second.start(request(3));
      assertThat(budget.isClaimed()).isTrue();
      Answer behind = first.start(request(2));
      assertThat(first.waiting()).isEqualTo(1);
      waits.close();
      assertThat(second.waiting()).isZero();
      busy.cancel();
      assertThat(tokens(behind)).hasSize(11);
      assertThat(first.waiting()).isZero();
      assertThat(budget.isClaimed()).isFalse();
      rest.close();
    }
  }

  @Test
  void whoWaitsForASequenceKeepsNobodyElseFromMemory() {
    try (ModelFile file = model();
        Engine first = open(file, 2, Engine.Options.usual());
        Engine second = open(file, 2, Engine.Options.usual())) {
      int[] alone = tokens(first.start(request(3)));
      Answer running = second.start(TinyModel.ENDLESS);
      Answer busy = first.start(TinyModel.ENDLESS);
      try (Lease _ = other.reserve(other.available())) {
        Answer waits = second.start(request(3)); // for memory
        assertThat(budget.isClaimed()).isTrue();
        List<Answer> both = second.start(request(3).withPriority(1), 2); // for a second sequence
        Answer behind = first.start(request(3));
        busy.cancel();
        assertThat(tokens(behind)).isEqualTo(alone);
        assertThat(second.waiting()).isEqualTo(2);
        assertThat(running.finishReason()).isEmpty();
        running.cancel();
        both.forEach(answer -> assertThat(tokens(answer)).isEqualTo(alone));
        assertThat(tokens(waits)).isEqualTo(alone);
        assertThat(budget.isClaimed()).isFalse();
      }
    }
  }

  @Test
  void aFloorIsKeptFromOthers() {
    long floor = 2_000_000;
    Engine.Options options = Engine.Options.usual().withShare(new Host.Share("first", floor, 1));
    try (ModelFile file = model();
        Engine first = open(file, 2, options);
        Engine second = open(file, 2, Engine.Options.usual());
        Session session = first.session()) {
      int[] alone = tokens(session.start(request(3)));
      Account mine = budget.account("first");
      assertThat(mine.used()).isBetween(1L, floor);
      assertThat(budget.account("first/weights").used()).isPositive();
      assertThatThrownBy(() -> open(file, 2, options)).isInstanceOf(IllegalStateException.class);
      try (Lease _ = other.reserve(other.available())) {
        assertThat(other.free()).isZero();
        assertThat(budget.free()).isEqualTo(floor - mine.used());
        assertThat(session.cachedTokens()).isPositive();
        assertThatThrownBy(() -> tokens(second.start(request(3))))
            .isInstanceOf(BudgetExceededException.class);
        assertThat(tokens(first.start(request(3)))).isEqualTo(alone);
      }
    }
  }

  @Test
  void concurrentAnswersOfTwoModelsInTooLittleMemoryAllEndAsTheyWouldAlone() throws Exception {
    int requests = 8;
    List<int[]> alone = new ArrayList<>();
    try (ModelFile file = model();
        Engine first = open(file, 2, Engine.Options.usual());
        Engine second = open(file, 2, Engine.Options.usual())) {
      List<Engine> engines = List.of(first, second);
      for (int i = 0; i < requests; i++) {
        alone.add(tokens(first.start(request(i))));
      }
      // Room for one sequence at a time, of either model.
      Answer one = first.start(request(requests));
      long needed = budget.account("kv").own();
      one.close();
      try (ExecutorService threads = Executors.newFixedThreadPool(6);
          Lease _ = other.reserve(other.available() - needed)) {
        List<CompletableFuture<int[]>> answers = new ArrayList<>();
        for (int i = 0; i < 4 * requests; i++) {
          Engine engine = engines.get(i % 2);
          Request request = request(i / 2 % requests);
          answers.add(CompletableFuture.supplyAsync(() -> tokens(engine.start(request)), threads));
        }
        for (int i = 0; i < answers.size(); i++) {
          assertThat(result(answers.get(i))).isEqualTo(alone.get(i / 2 % requests));
        }
      }
      assertThat(budget.isClaimed()).isFalse();
    }
  }

  /** A result, or the stacks of all threads where it does not come. */
  private static int[] result(CompletableFuture<int[]> future) throws Exception {
    try {
      return future.get(120, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      String stacks =
          Thread.getAllStackTraces().entrySet().stream()
              .map(HostTest::stack)
              .collect(Collectors.joining("\n\n"));
      throw new AssertionError("No answer came.\n" + stacks, e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof KnapsackException refused) {
        throw new AssertionError("An answer was refused", refused);
      }
      throw e;
    }
  }

  private static String stack(Map.Entry<Thread, StackTraceElement[]> thread) {
    return thread.getKey()
        + IntStream.range(0, thread.getValue().length)
            .mapToObj(i -> "\n  at " + thread.getValue()[i])
            .collect(Collectors.joining());
  }
}
