package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.engine.Engine;
import dev.knapsack.engine.Request;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Models with random weights compute as real ones do: what they write varies and is finite. */
class SyntheticModelRunTest {
  private static final Plan PLAN =
      new Plan(
          "synthetic",
          1L << 28,
          128,
          1,
          Plan.Cache.of(KvFormat.of(Formats.F32, Formats.F32)),
          16,
          1,
          new Plan.Weights(List.of(), false, 0, -1),
          List.of(),
          List.of(),
          new Plan.Prediction(0, 0, 0, 0, 0));

  @TempDir Path folder;

  static Stream<PublishedShape> shapes() {
    return PublishedShape.all().stream();
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void writesSomethingThatVaries(PublishedShape published) {
    Path path = folder.resolve("model.gguf");
    Budget budget = Budget.of("256MiB");
    new SyntheticModel(SyntheticModelTest.small(published), Formats.Q8_0)
        .write(path, 5, budget.account("synth"), Progress.NONE);
    try (ModelFile file = ModelFile.open(path)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      try (Engine engine =
          Engine.open(file, tokenizer, PLAN, new Host(budget), Engine.Options.usual())) {
        int[] prompt = tokenizer.encode("Hello, the world is", true, false);
        engine.logits(
            prompt,
            (position, logits) -> {
              float largest = 0;
              for (long i = 0; i < logits.byteSize() / Float.BYTES; i++) {
                float logit = logits.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                // max, unlike a comparison, lets NaN through
                largest = Math.max(largest, Math.abs(logit));
              }
              assertThat(largest).isBetween(0.1f, 30f);
            });
        Request request =
            Request.of(prompt).withMaxTokens(32).withSampling(Sampling.GREEDY).withIgnoreEnd(true);
        int[] answer = engine.start(request).each(piece -> {}).tokens();
        assertThat(answer).hasSize(32);
        assertThat(Arrays.stream(answer).distinct().count()).isGreaterThanOrEqualTo(4);
      }
    }
    assertThat(budget.used()).isZero();
  }
}
