package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The ways in which an answer's events can be taken: each gives the same ones, in order, once. */
@Timeout(120)
class EventsTest {
  private static final BiConsumer<Event, Consumer<Event>> AS_IT_IS =
      (event, events) -> events.accept(event);

  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");
  private ModelFile file;
  private Engine engine;

  @BeforeEach
  void open() {
    file = ModelFile.open(TinyModel.dense(folder, Formats.Q8_0));
    engine =
        Engine.open(
            file,
            new Numbers(),
            TinyModel.plan(2, 16, TinyModel.RESIDENT),
            new Host(budget),
            Engine.Options.usual());
  }

  @AfterEach
  void everyByteIsGivenBack() {
    engine.close();
    file.close();
    assertThat(budget.used()).isZero();
  }

  private static Request request(int tokens) {
    return request(tokens, -1e6f);
  }

  private static Request request(int tokens, float unknown) {
    return Request.of(1, 2, 3)
        .withSampling(Sampling.GREEDY.withSeed(1).withLogitBias(Map.of(Numbers.UNKNOWN, unknown)))
        .withMaxTokens(tokens);
  }

  /** Lets the engine do all that it would do by itself. */
  private void rest() {
    for (int turn = 0; turn < 100; turn++) {
      engine.waiting();
    }
  }

  @Test
  void tokensComeBeforeTheirTextAndTheEndComesLast() {
    List<Event> events = engine.start(request(3)).events().toList();
    int[] tokens =
        events.stream()
            .mapMultiToInt((event, ids) -> {
              if (event instanceof Event.Token token) {
                ids.accept(token.id());
              }
            })
            .toArray();
    Answer same = engine.start(request(3));
    assertThat(same.text()).isEqualTo("%d %d %d ".formatted(tokens[0], tokens[1], tokens[2]));
    List<Event> expected = new ArrayList<>();
    for (int token : tokens) {
      expected.add(Event.Token.of(token));
      expected.add(new Event.Text(token + " "));
    }
    assertThat(events.subList(0, 6)).isEqualTo(expected);
    assertThat(events.get(6))
        .isInstanceOfSatisfying(
            Usage.class,
            usage -> {
              assertThat(usage.promptTokens()).isEqualTo(3);
              assertThat(usage.tokens()).isEqualTo(3);
              assertThat(usage.secondsToFirstToken()).isPositive();
            });
    assertThat(events.subList(7, events.size()))
        .containsExactly(new Event.End(FinishReason.MAX_TOKENS));
  }

  @Test
  void aFailureIsTheLastEventAndTextThrowsIt() {
    Request failing = request(3, 1e6f);
    List<Event> events = engine.start(failing).events().toList();
    assertThat(events).hasSize(3);
    assertThat(events.get(0)).isEqualTo(Event.Token.of(Numbers.UNKNOWN));
    assertThat(events.get(1)).isInstanceOf(Usage.class);
    assertThat(events.get(2))
        .isInstanceOfSatisfying(
            Event.Failure.class,
            failure -> assertThat(failure.problem()).hasMessage("no such token"));
    assertThatThrownBy(engine.start(failing).stream()::toList).hasMessage("no such token");
    assertThatThrownBy(engine.start(failing).result(whole -> whole).toCompletableFuture()::join)
        .isInstanceOf(CompletionException.class)
        .hasRootCauseMessage("no such token");
    Recorder recorder = new Recorder((r, _) -> r.request(1));
    engine.start(failing).publisher(AS_IT_IS).subscribe(recorder);
    assertThat(recorder.end.join())
        .containsExactly("subscribed", "event", "event", "no such token");
  }

  @Test
  void logProbabilitiesAreThoseOfTheModel() {
    Sampling sampling =
        Sampling.DEFAULT
            .withSeed(5)
            .withTemperature(2)
            .withPenalties(1.5f, 0.5f, 0.25f, -1)
            .withLogitBias(Map.of(7, 3f, 8, Float.NEGATIVE_INFINITY));
    Request request =
        Request.of(1, 2, 3).withSampling(sampling).withMaxTokens(12).withIgnoreEnd(true);
    Answer.Result result =
        engine
            .start(request.withLogProbabilities(4))
            .result(whole -> whole)
            .toCompletableFuture()
            .join();
    int[] written = result.tokens().stream().mapToInt(Event.Token::id).toArray();
    Answer plain = engine.start(request);
    plain.text();
    assertThat(plain.tokens()).isEqualTo(written);
    int[] all =
        IntStream.concat(IntStream.of(1, 2, 3), Arrays.stream(written, 0, written.length - 1))
            .toArray();
    engine.logits(
        all,
        2,
        (position, logits) -> {
          double[] row =
              IntStream.range(0, TinyModel.VOCABULARY)
                  .mapToDouble(i -> logits.getAtIndex(ValueLayout.JAVA_FLOAT, i))
                  .toArray();
          double sum = Math.log(Arrays.stream(row).map(Math::exp).sum());
          Event.Token token = result.tokens().get(position - 2);
          assertThat(token.logProbability().orElseThrow())
              .isCloseTo(row[token.id()] - sum, within(0.02));
          assertThat(token.alternatives()).hasSize(4);
          token
              .alternatives()
              .forEach(
                  a -> assertThat(a.logProbability()).isCloseTo(row[a.id()] - sum, within(0.02)));
          assertThat(token.alternatives())
              .isSortedAccordingTo(
                  Comparator.comparingDouble(Event.Alternative::logProbability).reversed());
          assertThat(token.alternatives().getFirst().logProbability())
              .isCloseTo(Arrays.stream(row).max().orElseThrow() - sum, within(0.02));
        });
  }

  @Test
  void aResultIsTheWholeAnswer() {
    Answer answer = engine.start(request(60));
    Answer.Result result = answer.result(whole -> whole).toCompletableFuture().join();
    assertThat(result.text()).isEqualTo(answer.text());
    assertThat(result.tokens()).hasSize(60);
    assertThat(result.reason()).isEqualTo(FinishReason.MAX_TOKENS);
    assertThat(result.usage()).isEqualTo(answer.usage());
  }

  @Test
  void whoCancelsTheFutureOfAResultCancelsTheAnswer() {
    Answer answer = engine.start(request(Integer.MAX_VALUE).withOverflow(new Overflow.Shift(3)));
    answer.result(whole -> whole).toCompletableFuture().cancel(true);
    assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
  }

  @Test
  void aSubscriberIsGivenAllThatItAsksFor() {
    List<Event> expected = engine.start(request(50)).events().toList();
    Recorder one = new Recorder((r, _) -> r.request(1));
    Recorder unbounded =
        new Recorder((r, seen) -> {
          if (seen == 0) {
            r.request(Long.MAX_VALUE);
            r.request(Long.MAX_VALUE);
          }
        });
    for (Recorder recorder : List.of(one, unbounded)) {
      engine.start(request(50)).publisher(AS_IT_IS).subscribe(recorder);
      assertThat(recorder.end.join()).hasSize(2 + 50 + 50 + 2).endsWith("complete");
      assertThat(recorder.events).hasSameSizeAs(expected);
      assertThat(recorder.events.subList(0, 100)).isEqualTo(expected.subList(0, 100));
      assertThat(recorder.events.getLast()).isEqualTo(expected.getLast());
    }
  }

  @Test
  void demandIsWhatLetsAnAnswerBeWritten() {
    Answer answer = engine.start(request(60));
    Recorder recorder = new Recorder((_, _) -> {});
    answer.publisher(AS_IT_IS).subscribe(recorder);
    recorder.subscription.join();
    rest();
    assertThat(answer.tokens()).hasSize(Answer.AHEAD);
    assertThat(recorder.seen()).isZero();
    recorder.request(7);
    while (recorder.seen() < 7) {
      Thread.onSpinWait();
    }
    rest();
    assertThat(recorder.seen()).isEqualTo(7);
    assertThat(answer.tokens()).hasSize(Answer.AHEAD + 4);
    recorder.request(1000);
    assertThat(recorder.end.join()).endsWith("complete");
  }

  @Test
  void aCancelledSubscriptionCancelsTheAnswerAndIsGivenNothingMore() throws Exception {
    Request endless = request(Integer.MAX_VALUE).withOverflow(new Overflow.Shift(3));
    Answer within = engine.start(endless);
    CountDownLatch cancelled = new CountDownLatch(1);
    Recorder recorder =
        new Recorder((r, seen) -> {
          r.request(2);
          if (seen == 5) {
            Flow.Subscription subscription = r.subscription.join();
            subscription.cancel();
            subscription.cancel();
            subscription.request(1);
            subscription.request(0);
            cancelled.countDown();
          }
        });
    within.publisher(AS_IT_IS).subscribe(recorder);
    cancelled.await();
    within.text();
    assertThat(within.finishReason()).contains(FinishReason.CANCELLED);
    assertThat(recorder.signals)
        .containsExactly("subscribed", "event", "event", "event", "event", "event");
    // And from outside, while the subscription waits for demand.
    Answer outside = engine.start(endless);
    Recorder waiting = new Recorder((_, _) -> {});
    outside.publisher(AS_IT_IS).subscribe(waiting);
    waiting.subscription.join().cancel();
    outside.text();
    assertThat(outside.finishReason()).contains(FinishReason.CANCELLED);
    assertThat(waiting.signals).containsExactly("subscribed");
  }

  @Test
  void askingForNothingIsAnError() {
    Answer answer = engine.start(request(50));
    Recorder recorder = new Recorder((r, seen) -> r.request(seen < 3 ? 1 : -1));
    answer.publisher(AS_IT_IS).subscribe(recorder);
    assertThat(recorder.end.join())
        .containsExactly(
            "subscribed",
            "event",
            "event",
            "event",
            "0 events or fewer were requested; request 1 or more.");
    answer.text();
    assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
  }

  @Test
  void anInterruptedSubscriberCancelsItsAnswer() throws Exception {
    Answer answer = engine.start(request(50));
    CountDownLatch interrupted = new CountDownLatch(1);
    answer
        .publisher(AS_IT_IS)
        .subscribe(
            new Recorder((r, seen) -> {
              r.request(1);
              if (seen == 1) {
                Thread.currentThread().interrupt();
                interrupted.countDown();
              }
            }));
    interrupted.await();
    answer.text();
    assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
  }

  @Test
  void anAnswerHasOneReader() {
    Answer answer = engine.start(request(5));
    Recorder first = new Recorder((r, _) -> r.request(1));
    answer.publisher(AS_IT_IS).subscribe(first);
    assertThat(first.end.join()).endsWith("complete");
    Recorder second = new Recorder((r, _) -> r.request(1));
    answer.publisher(AS_IT_IS).subscribe(second);
    assertThat(second.end.join())
        .containsExactly("subscribed", "What an answer writes can be taken once.");
    assertThatThrownBy(answer::events).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(answer::iterator).isInstanceOf(IllegalStateException.class);
    assertThat(answer.text()).isNotEmpty();
  }

  @Test
  void whoWaitsForAllOfAnAnswerTakesTheRestFromItsSubscriberWhichIsToldSo() {
    Answer answer = engine.start(request(60));
    Recorder recorder = new Recorder((_, _) -> {});
    answer.publisher(AS_IT_IS).subscribe(recorder);
    recorder.request(1);
    assertThat(answer.text()).isNotEmpty();
    recorder.request(1000);
    assertThat(recorder.end.join()).endsWith("What an answer writes can be taken once.");
  }

  @Test
  @SuppressWarnings("NullAway") // what Java does not keep anyone from
  void nobodyIsNoSubscriber() {
    Answer answer = engine.start(request(5));
    Flow.Publisher<Event> publisher = answer.publisher(AS_IT_IS);
    assertThatThrownBy(() -> publisher.subscribe(null)).isInstanceOf(NullPointerException.class);
    assertThat(answer.events()).hasSize(5 + 5 + 2);
  }
}
