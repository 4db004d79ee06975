package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Answers whose time is over, by a clock that goes only when it is turned. */
@Timeout(120)
class DeadlineTest {
  private static final Duration HOUR = Duration.ofHours(1);

  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");
  private final AtomicLong time = new AtomicLong(Long.MAX_VALUE - 5); // it may begin anywhere

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine) throws Exception;
  }

  private void with(int sequences, LongSupplier clock, Use use) throws Exception {
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.Q8_0));
        Engine engine =
            new Engine(
                file,
                new Numbers(),
                TinyModel.plan(sequences, 16, TinyModel.RESIDENT),
                new Host(budget),
                Engine.Options.usual(),
                clock)) {
      use.accept(engine);
    }
  }

  private void turn(Engine engine, Duration by) {
    time.addAndGet(by.toNanos());
    engine.loop().wake();
  }

  private static Request request(int length) {
    return Request.of(IntStream.range(0, length).toArray())
        .withSampling(Sampling.GREEDY.withSeed(1).withLogitBias(Map.of(Numbers.UNKNOWN, -1e6f)))
        .withMaxTokens(60);
  }

  @Test
  void anAnswerThatWaitsForASequenceEnds() throws Exception {
    with(
        1,
        time::get,
        engine -> {
          Answer first = engine.start(request(3));
          Request endless =
              request(3).withMaxTokens(Integer.MAX_VALUE).withOverflow(new Overflow.Shift(1));
          Answer busy = engine.start(endless);
          Answer waiting = engine.start(request(3).withDeadline(HOUR));
          Answer last = engine.start(request(3).withDeadline(HOUR.multipliedBy(3)));
          turn(engine, HOUR.minusNanos(1));
          assertThat(engine.waiting()).isGreaterThanOrEqualTo(2);
          assertThat(waiting.finishReason()).isEmpty();
          turn(engine, Duration.ofNanos(1));
          assertThat(waiting.text()).isEmpty();
          assertThat(waiting.finishReason()).contains(FinishReason.DEADLINE);
          busy.close();
          assertThat(last.text()).isEqualTo(first.text()).isNotEmpty();
        });
  }

  @Test
  void anAnswerWhosePromptIsBeingReadEnds() throws Exception {
    AtomicLong ticks = new AtomicLong(1);
    with(
        3,
        ticks::incrementAndGet, // a step takes some ticks, and the prompt several steps
        engine -> {
          List<Answer> answers = engine.start(request(120).withDeadline(Duration.ofNanos(12)), 3);
          for (Answer answer : answers) {
            assertThat(answer.text()).isEmpty();
            assertThat(answer.finishReason()).contains(FinishReason.DEADLINE);
          }
          assertThat(budget.account("kv").own()).isZero();
          Answer whole = engine.start(request(120).withDeadline(HOUR).withMaxTokens(2));
          assertThat(whole.text()).isNotEmpty();
          assertThat(whole.finishReason()).contains(FinishReason.MAX_TOKENS);
        });
  }

  @Test
  void anAnswerThatNobodyTakesFromEnds() throws Exception {
    with(
        1,
        time::get,
        engine -> {
          Answer answer = engine.start(request(3).withDeadline(HOUR));
          for (int i = 0; i < 100; i++) {
            engine.waiting(); // a step was possible between one and the next
          }
          assertThat(answer.tokens()).hasSize(Answer.AHEAD);
          turn(engine, HOUR);
          List<Event> events = answer.events().toList();
          assertThat(events).hasSize(2 * Answer.AHEAD + 2);
          assertThat(events).last().isEqualTo(new Event.End(FinishReason.DEADLINE));
          assertThat(budget.account("kv").own()).isZero();
        });
  }

  @Test
  void anAnswerThatIsBeingWrittenEndsAndItsSessionGoesOn() throws Exception {
    with(
        2,
        time::get,
        engine -> {
          try (Session session = engine.session()) {
            Answer answer =
                session.start(
                    request(3)
                        .withMaxTokens(Integer.MAX_VALUE)
                        .withOverflow(new Overflow.Shift(3))
                        .withDeadline(HOUR));
            StringBuilder heard = new StringBuilder();
            answer.each(piece -> {
              heard.append(piece);
              turn(engine, Duration.ofMinutes(10));
            });
            assertThat(answer.finishReason()).contains(FinishReason.DEADLINE);
            assertThat(heard.toString()).isEqualTo(answer.textSoFar());
            assertThat(session.start(request(5)).text()).isEqualTo(engine.start(request(5)).text());
          }
        });
  }

  @Test
  void aDeadlineThatIsFarAwayOrNowIsOne() throws Exception {
    with(
        1,
        time::get,
        engine -> {
          Answer now = engine.start(request(3).withDeadline(Duration.ZERO));
          assertThat(now.text()).isEmpty();
          assertThat(now.finishReason()).contains(FinishReason.DEADLINE);
          Duration longest = Duration.ofSeconds(Long.MAX_VALUE);
          assertThat(engine.start(request(3).withDeadline(longest)).text()).isNotEmpty();
          assertThatThrownBy(() -> request(3).withDeadline(Duration.ofSeconds(-2)))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("PT-2S");
        });
  }
}
