package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Callers that fail, go away, or call from where they are called: nobody else notices. */
@Timeout(120)
class CallersTest {
  private static final Plan.Weights STREAMED = TinyModel.streaming(true, 64 << 10, 0, 1, 2, 3, 4);

  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine) throws Exception;
  }

  private void with(int sequences, Plan.Weights weights, Use use) throws Exception {
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.Q8_0));
        Engine engine =
            Engine.open(
                file,
                new Numbers(),
                TinyModel.plan(sequences, 16, weights),
                new Host(budget),
                Engine.Options.usual())) {
      use.accept(engine);
    }
  }

  private static Request request(int number, int tokens) {
    return request(number, tokens, -1e6f);
  }

  /** An answer that begins with the token that has no text. */
  private static Request failing() {
    return request(5, 40, 1e6f);
  }

  private static Request request(int number, int tokens, float unknown) {
    return Request.of(number, number + 1, number + 2)
        .withSampling(
            Sampling.GREEDY.withSeed(number).withLogitBias(Map.of(Numbers.UNKNOWN, unknown)))
        .withMaxTokens(tokens);
  }

  private static String text(Answer answer) {
    try (answer) {
      return answer.text();
    }
  }

  @Test
  void whatGoesWrongAfterAStepEndsOneAnswer() throws Exception {
    with(
        4,
        TinyModel.RESIDENT,
        engine -> {
          List<String> alone =
              IntStream.range(0, 2).mapToObj(i -> text(engine.start(request(i, 40)))).toList();
          List<Answer> good = new ArrayList<>();
          List<Answer> bad = new ArrayList<>();
          engine
              .loop()
              .ask(() -> {
                good.add(engine.start(request(0, 40)));
                bad.addAll(engine.start(failing(), 2));
                good.add(engine.start(request(1, 40)));
                return true;
              });
          for (Answer answer : bad) {
            assertThatThrownBy(answer::text).hasMessage("no such token");
            assertThat(answer.finishReason()).contains(FinishReason.FAILED);
            answer.close();
          }
          for (int i = 0; i < 2; i++) {
            assertThat(text(good.get(i))).isEqualTo(alone.get(i));
          }
          try (Session session = engine.session()) {
            assertThatThrownBy(session.start(failing())::text).hasMessage("no such token");
            assertThat(text(session.start(request(0, 40)))).isEqualTo(alone.get(0));
          }
        });
  }

  @Test
  void answersAndTextsTakeTurns() throws Exception {
    with(
        2,
        TinyModel.RESIDENT,
        engine -> {
          String alone = text(engine.start(request(1, 60)));
          int[] long100 = IntStream.range(0, 100).toArray();
          AtomicBoolean stop = new AtomicBoolean();
          CountDownLatch reading = new CountDownLatch(2);
          List<CompletableFuture<Void>> readers = new ArrayList<>();
          for (int i = 0; i < 2; i++) {
            readers.add(
                CompletableFuture.runAsync(() -> {
                  while (!stop.get()) {
                    engine.logits(long100, 99, (_, _) -> reading.countDown());
                  }
                }));
          }
          reading.await();
          assertThat(text(engine.start(request(1, 60)))).isEqualTo(alone);
          stop.set(true);
          readers.forEach(CompletableFuture::join);
          // And answers do not keep texts waiting.
          try (Answer _ = engine.start(request(1, 60))) {
            engine.logits(long100, 99, (_, _) -> {});
          }
        });
  }

  @Test
  void anInterruptedReaderEndsItsOwnAnswer() throws Exception {
    with(
        2,
        STREAMED,
        engine -> {
          String alone = text(engine.start(request(1, 100)));
          Answer victim = engine.start(request(2, 10_000).withOverflow(new Overflow.Shift(3)));
          CompletableFuture<String> other = new CompletableFuture<>();
          Answer going = engine.start(request(1, 100));
          Thread.ofPlatform().start(() -> other.complete(text(going)));
          AtomicReference<@Nullable RuntimeException> thrown = new AtomicReference<>();
          AtomicBoolean still = new AtomicBoolean();
          CountDownLatch begun = new CountDownLatch(1);
          Thread reader =
              Thread.ofPlatform()
                  .start(() -> {
                    try {
                      victim.each(piece -> begun.countDown());
                    } catch (RuntimeException e) {
                      thrown.set(e);
                      still.set(Thread.currentThread().isInterrupted());
                    }
                  });
          begun.await();
          reader.interrupt();
          reader.join();
          assertThat(thrown.get()).isInstanceOf(WaitInterruptedException.class);
          assertThat(still).isTrue();
          assertThat(victim.finishReason()).contains(FinishReason.CANCELLED);
          assertThat(other.join()).isEqualTo(alone);
        });
  }

  @Test
  void anInterruptedThreadCanStillClose() throws Exception {
    with(
        2,
        STREAMED,
        engine -> {
          Session session = engine.session();
          Answer answer = session.start(request(1, 100));
          Thread.currentThread().interrupt();
          assertThatThrownBy(() -> engine.start(request(1, 3)))
              .isInstanceOf(WaitInterruptedException.class);
          assertThatThrownBy(() -> engine.logits(new int[] {1}, (_, _) -> {}))
              .isInstanceOf(WaitInterruptedException.class);
          answer.close();
          session.close();
          engine.close();
          assertThat(Thread.interrupted()).isTrue();
          assertThat(budget.used()).isZero();
        });
  }

  @Test
  void aListenerThatThrowsCancelsItsAnswer() throws Exception {
    with(
        2,
        TinyModel.RESIDENT,
        engine -> {
          Answer answer = engine.start(request(1, 100));
          assertThatThrownBy(() ->
                  answer.each(piece -> {
                    throw new IllegalArgumentException("client gone");
                  }))
              .hasMessage("client gone");
          assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
          assertThat(budget.account("kv").own()).isZero();
        });
  }

  @Test
  void theEngineMayBeUsedFromItsCallbacks() throws Exception {
    with(
        1,
        TinyModel.RESIDENT,
        engine -> {
          String alone = text(engine.start(request(1, 5)));
          List<String> said = new ArrayList<>();
          engine.logits(
              new int[] {1, 2},
              (_, _) -> {
                said.add(text(engine.start(request(1, 5))));
                engine.logits(new int[] {3}, (_, _) -> said.add("nested"));
              });
          assertThat(said).containsExactly(alone, "nested", alone, "nested");
          try (Reading reading =
              engine.read(
                  new int[] {1, 2}, (_, _) -> said.add(text(engine.start(request(1, 5)))))) {
            assertThat(said).last().isEqualTo(alone);
            assertThat(reading.tokens()).isEqualTo(2);
          }
          Answer answer = engine.start(request(1, 100));
          assertThatThrownBy(() -> answer.each(piece -> engine.close()))
              .isInstanceOf(EngineClosedException.class);
          assertThat(answer.textSoFar()).isNotEmpty();
        });
  }

  @Test
  void whoIsNotTakenFromHoldsNobodyUp() throws Exception {
    with(
        1,
        TinyModel.RESIDENT,
        engine -> {
          String alone = text(engine.start(request(2, 50)));
          Iterator<String> abandoned = engine.start(request(1, 60)).iterator();
          abandoned.next();
          assertThat(text(engine.start(request(2, 50)))).isEqualTo(alone);
          // Its answer was written to the end meanwhile, and is still to be had.
          int pieces = 1;
          while (abandoned.hasNext()) {
            abandoned.next();
            pieces++;
          }
          assertThat(pieces).isEqualTo(60);
        });
  }

  @Test
  void anAnswerIsTakenOnce() throws Exception {
    with(
        1,
        TinyModel.RESIDENT,
        engine -> {
          Answer answer = engine.start(request(1, 5));
          String text = answer.text();
          assertThat(answer.text()).isEqualTo(text);
          assertThatThrownBy(answer::iterator).isInstanceOf(IllegalStateException.class);
        });
  }

  @Test
  void anIdleSessionKeepsItsCacheWhereThatWouldNotHelp() throws Exception {
    with(
        3,
        TinyModel.RESIDENT,
        engine -> {
          try (Session idle = engine.session();
              Session busy = engine.session()) {
            text(idle.start(request(1, 20)));
            Answer answer = busy.start(request(2, 100));
            int cached = idle.cachedTokens();
            long free = budget.free();
            try (Lease rest = budget.account("other").reserve(free)) {
              assertThat(rest.bytes()).isPositive();
              int[] whole = IntStream.range(0, TinyModel.CONTEXT).toArray();
              // Its bytes would do for the keys and values of these, and not for what else they
              // need.
              assertThatThrownBy(() -> engine.logits(whole, (_, _) -> {}))
                  .isInstanceOf(BudgetExceededException.class);
              List<Answer> waiting = engine.start(request(3, 120), 2);
              assertThat(engine.waiting()).isEqualTo(1);
              assertThat(idle.cachedTokens()).isEqualTo(cached);
              waiting.forEach(Answer::close);
              // What does fit, gets them.
              try (Answer _ = engine.start(request(3, 120))) {
                assertThat(idle.cachedTokens()).isZero();
              }
            }
            answer.close();
          }
        });
  }
}
