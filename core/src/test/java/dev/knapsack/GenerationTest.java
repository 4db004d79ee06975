package dev.knapsack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.engine.Recorder;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.message.Conversation;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An answer that nobody waits for: by a subscriber, and as a future. */
@Timeout(120)
class GenerationTest {
  /** What the model writes is what it thinks. */
  private static final GenerationRequest THOUGHT =
      GenerationRequest.of(Conversation.of(Message.user("Once upon a time")))
          .withSampling(Sampling.GREEDY)
          .withIgnoreEnd(true)
          .withMaxTokens(60);

  private static final GenerationRequest ENDLESS =
      THOUGHT.withMaxTokens(Integer.MAX_VALUE).withOverflow(new Overflow.Shift(1));

  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");
  private Knapsack knapsack;

  @BeforeEach
  void open() {
    Path model =
        KnapsackTest.withTemplates(
            folder.resolve("thinks.gguf"),
            "{% for m in messages %}{{ m.content }}{% endfor %}<think>\n",
            "");
    Host host = new Host(budget, Host.Options.usual().withCache(TestData.cache()));
    knapsack = Knapsack.open(model, host, Options.usual().withWorkers(1).withContext(128));
  }

  @AfterEach
  void everyByteIsGivenBack() {
    knapsack.close();
    assertThat(budget.used()).isZero();
  }

  /** Lets the model do all that it would do by itself. */
  private void rest() {
    for (int turn = 0; turn < 100; turn++) {
      knapsack.engine().waiting();
    }
  }

  private static List<Event> withoutTimes(List<Event> events) {
    return events.stream().filter(event -> !(event instanceof Usage)).toList();
  }

  @Test
  void aSubscriberIsGivenWhatTheEventsAre() {
    List<Event> expected = knapsack.generate(THOUGHT).events().toList();
    assertThat(expected).hasAtLeastOneElementOfType(Event.Reasoning.class);
    Recorder recorder = new Recorder((r, _) -> r.request(1));
    knapsack.generate(THOUGHT).publisher().subscribe(recorder);
    assertThat(recorder.end.join()).hasSize(1 + expected.size() + 1).endsWith("complete");
    assertThat(withoutTimes(recorder.events)).isEqualTo(withoutTimes(expected));
  }

  @Test
  void aSubscriberIsGivenNoMoreThanItAskedFor() {
    Generation answer = knapsack.generate(THOUGHT);
    Recorder recorder = new Recorder((_, _) -> {});
    answer.publisher().subscribe(recorder);
    for (int asked = 0; asked < 20; asked += 5) {
      rest();
      assertThat(recorder.seen()).isEqualTo(asked);
      assertThat(answer.tokens()).hasSizeLessThan(60);
      recorder.request(5);
      while (recorder.seen() < asked + 5) {
        Thread.onSpinWait();
      }
    }
    recorder.request(Long.MAX_VALUE);
    assertThat(recorder.end.join()).endsWith("complete");
    assertThat(answer.tokens()).hasSize(60);
  }

  @Test
  void aCancelledSubscriptionCancelsTheAnswer() throws InterruptedException {
    Generation answer = knapsack.generate(ENDLESS);
    CountDownLatch cancelled = new CountDownLatch(1);
    Recorder recorder =
        new Recorder((r, seen) -> {
          r.request(1);
          if (seen == 7) {
            r.subscription.join().cancel();
            cancelled.countDown();
          }
        });
    answer.publisher().subscribe(recorder);
    cancelled.await();
    assertThat(answer.message().parts()).singleElement().isInstanceOf(Part.Reasoning.class);
    assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
    assertThat(recorder.seen()).isEqualTo(7);
  }

  @Test
  void aSubscriberIsToldWhatWentWrong() {
    Generation answer = knapsack.generate(ENDLESS);
    Recorder recorder = new Recorder((_, _) -> {});
    answer.publisher().subscribe(recorder);
    recorder.subscription.join();
    CompletableFuture<Generation.Result> other =
        knapsack.generate(ENDLESS).result().toCompletableFuture();
    knapsack.close();
    recorder.request(Long.MAX_VALUE);
    assertThat(recorder.end.join()).endsWith(new EngineClosedException("engine").getMessage());
    assertThatThrownBy(other::join).hasCauseInstanceOf(EngineClosedException.class);
  }

  @Test
  void aResultIsTheWholeAnswer() {
    Generation answer = knapsack.generate(THOUGHT);
    Generation.Result result = answer.result().toCompletableFuture().join();
    assertThat(result.message().parts()).singleElement().isInstanceOf(Part.Reasoning.class);
    assertThat(result.message()).isEqualTo(answer.message());
    assertThat(result.tokens()).hasSize(60);
    assertThat(result.reason()).isEqualTo(FinishReason.MAX_TOKENS);
    assertThat(result.usage()).isEqualTo(answer.usage());
  }

  @Test
  void whoCancelsTheFutureOfAResultCancelsTheAnswer() {
    Generation answer = knapsack.generate(ENDLESS);
    answer.result().toCompletableFuture().cancel(true);
    assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
  }

  @Test
  void aRequestSaysItsPriorityAndItsTenant() {
    Generation busy = knapsack.generate(ENDLESS.withTenant("a"));
    Generation usual = knapsack.generate(THOUGHT.withTenant("a"));
    Generation other = knapsack.generate(THOUGHT.withTenant("b"));
    Generation urgent = knapsack.generate(THOUGHT.withTenant("a").withPriority(1));
    busy.close();
    assertThat(usual.message()).isNotNull();
    assertThat(other.finishReason()).contains(FinishReason.MAX_TOKENS);
    assertThat(urgent.finishReason()).contains(FinishReason.MAX_TOKENS);
  }
}
