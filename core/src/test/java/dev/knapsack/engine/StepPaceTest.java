package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Prompts that are read beside answers that are being written. */
@Timeout(120)
class StepPaceTest {
  private static final int CHUNK = 16;

  @TempDir static Path folder;

  @Test
  void followsWhatStepsTake() {
    StepPace pace = new StepPace(0.1, 0.02, 0.001);
    assertThat(pace.rows()).isEqualTo(80);
    for (int i = 0; i < 100; i++) {
      pace.took(0.02 + 50 * 0.004, 50);
    }
    assertThat(pace.rows()).isEqualTo(20);
    for (int i = 0; i < 100; i++) {
      pace.took(0.06, 0);
    }
    assertThat(pace.rows()).isEqualTo(10);
    for (int i = 0; i < 100; i++) {
      pace.took(1, 0);
    }
    assertThat(pace.rows()).isEqualTo(StepPace.LEAST);
    assertThat(new StepPace(Double.POSITIVE_INFINITY, 1, 1).rows()).isEqualTo(Integer.MAX_VALUE);
  }

  private static Request request(int length) {
    return Request.of(IntStream.range(0, length).toArray())
        .withSampling(Sampling.GREEDY.withLogitBias(Map.of(Numbers.UNKNOWN, -1e6f)));
  }

  /** Steps that a prompt of 96 tokens is read in, beside an answer or alone. */
  private static int steps(double betweenTokens, boolean beside, boolean seeded) {
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.Q8_0));
        Engine engine =
            Engine.open(
                file,
                new Numbers(),
                TinyModel.plan(2, CHUNK, TinyModel.RESIDENT),
                new Host(Budget.of("64MiB")),
                Engine.Options.usual().withBetweenTokens(betweenTokens).withPrefixes(false))) {
      Request endless =
          request(3).withMaxTokens(Integer.MAX_VALUE).withOverflow(new Overflow.Shift(1));
      Answer written = engine.start(endless);
      Iterator<String> pieces = written.iterator();
      pieces.next();
      if (!beside) {
        written.close();
      }
      Request asked = request(96).withMaxTokens(1);
      Answer answer =
          engine.start(seeded ? asked.withSampling(asked.sampling().withSeed(1)) : asked);
      // The other answer is taken from, so that it is written on.
      Thread.ofVirtual().start(() -> pieces.forEachRemaining(_ -> {}));
      answer.text();
      written.close();
      return answer.usage().steps();
    }
  }

  @Test
  void promptsAreReadInShortStepsBesideAnswersAlone() {
    assertThat(steps(1e-9, false, false)).isEqualTo(96 / CHUNK);
    assertThat(steps(1e-9, true, false)).isEqualTo(96 / StepPace.LEAST);
    assertThat(steps(Double.POSITIVE_INFINITY, true, false)).isLessThanOrEqualTo(96 / CHUNK + 1);
  }

  @Test
  void whatMayNotDependOnOthersIsReadInTheSameStepsAlways() {
    assertThat(steps(1e-9, true, true)).isEqualTo(96 / StepPace.LEAST);
    assertThat(steps(1e-9, false, true)).isEqualTo(96 / StepPace.LEAST);
  }
}
