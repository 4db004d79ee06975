package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.QueueFullException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.memory.Offer;
import dev.knapsack.memory.Reclaimer;
import dev.knapsack.memory.Rung;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** More requests than sequences. */
class QueueTest {
  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine) throws Exception;
  }

  private void with(int sequences, int queue, Use use) throws Exception {
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F16));
        Engine engine =
            Engine.open(
                file,
                null,
                TinyModel.plan(sequences, 16, TinyModel.RESIDENT),
                new Host(budget),
                Engine.Options.usual().withQueue(queue))) {
      use.accept(engine);
    }
  }

  /** The {@code i}th of some requests that differ in prompt and length. */
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

  /** Takes an answer to its end in a thread of its own, which runs when this returns. */
  private static CompletableFuture<String> taker(Answer answer) throws InterruptedException {
    CountDownLatch running = new CountDownLatch(1);
    CompletableFuture<String> text = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .start(() -> {
          running.countDown();
          try {
            text.complete(answer.text());
          } catch (RuntimeException e) {
            text.completeExceptionally(e);
          }
        });
    running.await();
    return text;
  }

  private static List<int[]> alone(Engine engine, int requests) {
    return IntStream.range(0, requests).mapToObj(i -> tokens(engine.start(request(i)))).toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void requestsOfManyThreadsAreAllAnswered(int sequences) throws Exception {
    int requests = 8;
    with(
        sequences,
        requests,
        engine -> {
          List<int[]> alone = alone(engine, requests);
          try (ExecutorService threads = Executors.newFixedThreadPool(requests);
              Session kept = engine.session()) {
            tokens(kept.start(request(3)));
            List<CompletableFuture<int[]>> together = new ArrayList<>();
            for (int i = 0; i < requests; i++) {
              int number = i;
              together.add(
                  CompletableFuture.supplyAsync(
                      () ->
                          tokens(
                              number == 4
                                  ? kept.start(request(number))
                                  : engine.start(request(number))),
                      threads));
            }
            for (int i = 0; i < requests; i++) {
              assertThat(together.get(i).join()).isEqualTo(alone.get(i));
            }
          }
          assertThat(engine.waiting()).isZero();
        });
  }

  @Test
  void aWaitingAnswerComesAfterThoseAskedForBefore() throws Exception {
    with(
        1,
        4,
        engine -> {
          List<int[]> alone = alone(engine, 4);
          Answer busy = engine.start(TinyModel.ENDLESS);
          List<Answer> answers =
              IntStream.range(0, 4).mapToObj(i -> engine.start(request(i))).toList();
          assertThat(engine.waiting()).isEqualTo(4);
          busy.close();
          // Nobody takes from the first two, and yet they are no obstacle.
          assertThat(tokens(answers.get(2))).isEqualTo(alone.get(2));
          for (int i = 0; i < 2; i++) {
            assertThat(answers.get(i).finishReason()).contains(FinishReason.MAX_TOKENS);
            assertThat(answers.get(i).tokens()).isEqualTo(alone.get(i));
          }
          assertThat(tokens(answers.get(3))).isEqualTo(alone.get(3));
        });
  }

  /** Asks for an answer that holds its sequence until it is closed, named like {@code b2}: b's. */
  private static void ask(Engine engine, Map<String, Answer> answers, int priority, String name) {
    Request request = TinyModel.ENDLESS.withTenant(name.substring(0, 1)).withPriority(priority);
    answers.put(name, engine.start(request));
  }

  /** Ends the answer that has the one sequence; its name. */
  private static String end(Engine engine, Map<String, Answer> answers) {
    String name =
        engine
            .loop()
            .settle(() ->
                answers.keySet().stream()
                    .filter(n -> !answers.get(n).waiting)
                    .collect(Collectors.joining(",")));
    answers.remove(name).close();
    return name;
  }

  @Test
  void whoWaitsIsServedByPriorityThenInTurnByTenant() throws Exception {
    with(
        1,
        9,
        engine -> {
          Map<String, Answer> answers = new LinkedHashMap<>();
          for (String name : List.of("a0", "a1", "a2", "a3", "b1", "a4", "b2")) {
            ask(engine, answers, 0, name);
          }
          ask(engine, answers, -1, "d1");
          ask(engine, answers, 1, "c1");
          ask(engine, answers, 0, "b3");
          List<String> order = new ArrayList<>();
          while (!answers.isEmpty()) {
            order.add(end(engine, answers));
          }
          assertThat(order)
              .containsExactly("a0", "c1", "b1", "a1", "b2", "a2", "b3", "a3", "a4", "d1");
        });
  }

  @Test
  void whoAsksForOneAfterTheOtherHasEverySecondTurnAndNoMore() throws Exception {
    with(
        1,
        4,
        engine -> {
          Map<String, Answer> answers = new LinkedHashMap<>();
          for (String name : List.of("b1", "b2", "b3", "b4")) {
            ask(engine, answers, 0, name);
          }
          for (int turn = 1; turn <= 3; turn++) {
            ask(engine, answers, 0, "a" + turn);
            assertThat(end(engine, answers)).isEqualTo("b" + turn);
            assertThat(end(engine, answers)).isEqualTo("a" + turn);
          }
          assertThat(end(engine, answers)).isEqualTo("b4");
        });
  }

  @Test
  void whoHasHadATurnDoesNotWaitForAllWhoCameLater() throws Exception {
    with(
        1,
        4,
        engine -> {
          Map<String, Answer> answers = new LinkedHashMap<>();
          ask(engine, answers, 0, "a1");
          ask(engine, answers, 0, "a2");
          List<String> order = new ArrayList<>();
          for (String next : List.of("b1", "c1", "d1")) {
            ask(engine, answers, 0, next);
            order.add(end(engine, answers));
          }
          while (!answers.isEmpty()) {
            order.add(end(engine, answers));
          }
          assertThat(order).containsExactly("a1", "b1", "a2", "c1", "d1");
        });
  }

  @Test
  void whoIsForgottenComesNew() throws Exception {
    with(
        1,
        2,
        engine -> {
          Map<String, Answer> answers = new LinkedHashMap<>();
          for (String name : List.of("a1", "c1", "a2")) {
            ask(engine, answers, 0, name);
          }
          for (int i = 0; i < 1023; i++) { // with a's and c's, one more than are remembered
            Request stranger = TinyModel.ENDLESS.withTenant("stranger " + i);
            assertThatThrownBy(() -> engine.start(stranger)).isInstanceOf(QueueFullException.class);
          }
          assertThat(end(engine, answers)).isEqualTo("a1");
          assertThat(end(engine, answers)).as("had no turn yet").isEqualTo("c1");
          assertThat(end(engine, answers)).isEqualTo("a2");
        });
  }

  @Test
  void aHigherPriorityNeedNotWaitForThoseWhoLackMore() throws Exception {
    with(
        2,
        4,
        engine -> {
          int[] alone = tokens(engine.start(request(2)));
          Answer busy = engine.start(TinyModel.ENDLESS);
          List<Answer> both = engine.start(request(2), 2);
          assertThat(engine.waiting()).isEqualTo(1);
          assertThat(tokens(engine.start(request(2).withPriority(1)))).isEqualTo(alone);
          assertThat(engine.waiting()).isEqualTo(1);
          assertThat(busy.finishReason()).isEmpty();
          busy.close();
          for (Answer answer : both) {
            assertThat(tokens(answer)).isEqualTo(alone);
          }
        });
  }

  @Test
  void samplesOfOnePromptWaitTogether() throws Exception {
    with(
        2,
        4,
        engine -> {
          int[] alone = tokens(engine.start(request(3)));
          Answer busy = engine.start(TinyModel.ENDLESS);
          List<Answer> samples = engine.start(request(3), 2);
          Answer last = engine.start(request(2));
          assertThat(engine.waiting()).isEqualTo(2); // though one sequence is free
          busy.close();
          assertThat(tokens(samples.get(1))).isEqualTo(alone);
          assertThat(tokens(samples.get(0))).isEqualTo(alone);
          assertThat(tokens(last)).hasSize(11);
        });
  }

  @Test
  void refusesWhenTheQueueIsFull() throws Exception {
    with(
        1,
        2,
        engine -> {
          Answer busy = engine.start(TinyModel.ENDLESS);
          Answer second = engine.start(request(1));
          Answer third = engine.start(request(2));
          assertThatThrownBy(() -> engine.start(request(3)))
              .isInstanceOf(QueueFullException.class)
              .hasMessageContaining("1 sequence(s)")
              .hasMessageContaining("2 request(s) wait");
          busy.close();
          assertThat(tokens(third)).hasSize(11);
          assertThat(tokens(second)).hasSize(7);
          assertThat(tokens(engine.start(request(3)))).hasSize(15);
        });
    with(
        1,
        0,
        engine -> {
          Answer busy = engine.start(TinyModel.ENDLESS);
          assertThatThrownBy(() -> engine.start(request(1))).isInstanceOf(QueueFullException.class);
          try (Session session = engine.session()) {
            assertThatThrownBy(() -> session.start(request(1)))
                .isInstanceOf(QueueFullException.class);
            busy.close();
            assertThat(tokens(session.start(request(1)))).hasSize(7);
          }
        });
  }

  @Test
  void cancellingEndsTheWait() throws Exception {
    with(
        1,
        4,
        engine -> {
          int[] alone = tokens(engine.start(request(2)));
          Answer endless = engine.start(TinyModel.ENDLESS);
          Answer second = engine.start(request(1));
          Session session = engine.session();
          Answer third = session.start(request(1));
          Answer fourth = engine.start(request(2));
          List<CompletableFuture<String>> takers = new ArrayList<>();
          for (Answer answer : List.of(second, third, fourth)) {
            takers.add(taker(answer));
          }
          assertThatThrownBy(() -> session.start(request(1)))
              .isInstanceOf(IllegalStateException.class)
              .hasMessageContaining("still answering");
          second.cancel();
          takers.get(0).join();
          session.close();
          takers.get(1).join();
          assertThat(engine.waiting()).isEqualTo(1);
          assertThat(second.finishReason()).contains(FinishReason.CANCELLED);
          assertThat(third.finishReason()).contains(FinishReason.CANCELLED);
          endless.close();
          takers.get(2).join();
          assertThat(fourth.tokens()).isEqualTo(alone);
          assertThat(second.tokens()).isEmpty();
        });
  }

  @Test
  void aSampleThatIsCancelledIsNotWaitedFor() throws Exception {
    with(
        2,
        4,
        engine -> {
          Answer endless = engine.start(TinyModel.ENDLESS);
          List<Answer> samples = engine.start(request(2), 2);
          assertThat(engine.waiting()).isEqualTo(1);
          samples.get(0).close();
          assertThat(engine.waiting()).isZero(); // what is left needs the one sequence that is free
          assertThat(tokens(samples.get(1))).hasSize(11);
          endless.close();
        });
  }

  @Test
  void closingTheEngineEndsTheWait() throws Exception {
    List<CompletableFuture<String>> takers = new ArrayList<>();
    with(
        1,
        2,
        engine -> {
          for (int i = 0; i < 3; i++) {
            takers.add(taker(engine.start(TinyModel.ENDLESS)));
          }
        });
    for (CompletableFuture<String> taker : takers) {
      assertThatThrownBy(taker::join).hasCauseInstanceOf(EngineClosedException.class);
    }
  }

  @Test
  void logitsAreHadBetweenTheStepsOfOthers() throws Exception {
    with(
        1,
        2,
        engine -> {
          Answer endless = engine.start(TinyModel.ENDLESS);
          CompletableFuture<String> taker = taker(endless);
          List<Integer> positions = new ArrayList<>();
          engine.logits(new int[] {1, 2, 3}, (at, _) -> positions.add(at));
          assertThat(positions).containsExactly(0, 1, 2);
          endless.close();
          taker.join();
        });
  }

  @Test
  void idleSessionsGiveBackBeforeAnyoneWaits() throws Exception {
    with(
        2,
        1,
        engine -> {
          try (Session old = engine.session();
              Session recent = engine.session()) {
            tokens(old.start(request(2)));
            tokens(recent.start(request(2)));
            try (Answer _ = engine.start(TinyModel.ENDLESS)) {
              assertThat(old.cachedTokens()).isZero();
              assertThat(recent.cachedTokens()).isPositive();
              try (Answer _ = engine.start(TinyModel.ENDLESS)) {
                assertThat(recent.cachedTokens()).isZero();
                assertThat(engine.waiting()).isZero();
                try (Answer _ = engine.start(request(1))) {
                  assertThat(engine.waiting()).isEqualTo(1);
                }
              }
            }
          }
        });
  }

  @Test
  void idleSessionsGiveBackWhatAnotherAccountNeeds() throws Exception {
    Account other = budget.account("other");
    with(
        2,
        1,
        engine -> {
          try (Session session = engine.session();
              Answer busy = engine.start(TinyModel.ENDLESS)) {
            int[] expected = tokens(session.start(request(2)));
            long given = other.available() - budget.free();
            assertThat(given).isPositive();
            // More than all can give: nobody gives.
            assertThatThrownBy(() -> other.reserve(other.available() + 1))
                .isInstanceOf(BudgetExceededException.class);
            assertThat(session.cachedTokens()).isPositive();
            try (Lease rest = other.reserve(other.available())) {
              assertThat(rest.bytes()).isPositive();
              assertThat(session.cachedTokens()).isZero();
              assertThat(other.available()).isZero();
              assertThat(busy.finishReason()).isEmpty();
            }
            assertThat(tokens(session.start(request(2)))).isEqualTo(expected);
          }
        });
  }

  @Test
  void whatDoesNotFitWaitsForAnswersToEndAndIsRefusedWhenNoneDoes() throws Exception {
    Account other = budget.account("other");
    with(
        3,
        4,
        engine -> {
          List<int[]> alone = alone(engine, 4);
          Answer busy = engine.start(TinyModel.ENDLESS);
          try (Lease rest = other.reserve(other.available())) {
            assertThat(rest.bytes()).isPositive();
            Answer fits = engine.start(request(3));
            List<Answer> tooMany = engine.start(TinyModel.ENDLESS, 3);
            Answer last = engine.start(request(2));
            assertThat(engine.waiting()).isEqualTo(3);
            busy.close();
            assertThat(tokens(last)).isEqualTo(alone.get(2));
            assertThat(tokens(fits)).isEqualTo(alone.get(3));
            for (Answer answer : tooMany) {
              assertThatThrownBy(answer::text)
                  .isInstanceOf(BudgetExceededException.class)
                  .hasMessageContaining("'kv'");
              answer.close();
            }
          }
        });
  }

  @Test
  void whoIsNotGivenWhatWasOfferedAsksAgain() throws Exception {
    Account other = budget.account("other");
    with(
        2,
        4,
        engine -> {
          int[] alone = tokens(engine.start(request(3)));
          Answer one = engine.start(request(3));
          long each = budget.account("kv").own();
          one.close();
          Lease rest = other.reserve(other.available() - each);
          Reclaimer busyAtFirst =
              new Reclaimer() {
                private boolean asked;

                @Override
                public List<Offer> offers() {
                  return List.of(new Offer(rest.bytes(), 0, true));
                }

                @Override
                public long reclaim(long bytes) {
                  rest.shrink(asked ? bytes : 0);
                  asked = true;
                  return 0;
                }

                @Override
                public void hurry() {}
              };
          try (rest;
              Budget.Registration _ = budget.onPressure(Rung.SPILL_CACHE, other, busyAtFirst)) {
            for (Answer answer : engine.start(request(3), 2)) {
              assertThat(tokens(answer)).isEqualTo(alone);
            }
          }
        });
  }
}
