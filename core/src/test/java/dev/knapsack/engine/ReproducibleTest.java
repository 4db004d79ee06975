package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** An answer with a seed is the same, token for token, whatever is computed beside it. */
class ReproducibleTest {
  private static final int SEQUENCES = 4;
  private static final int CONTEXT = 256;
  private static final int CHUNK = 24;

  @TempDir static Path folder;

  private static Plan plan(KvFormat format) {
    return new Plan(
        "tiny",
        1L << 30,
        CONTEXT,
        SEQUENCES,
        Plan.Cache.of(format),
        CHUNK,
        1,
        TinyModel.RESIDENT,
        List.of(),
        List.of(),
        new Plan.Prediction(0, 0, 0, 0, 0));
  }

  private interface Use {
    void accept(Engine engine);
  }

  private static void with(
      Path path, KvFormat format, KernelProvider kernels, Engine.Options options, Use use) {
    Host host = new Host(Budget.of("64MiB"), Host.Options.of(kernels.open()));
    try (ModelFile file = ModelFile.open(path);
        Engine engine = Engine.open(file, null, plan(format), host, options)) {
      use.accept(engine);
    }
  }

  /** A prompt that begins as others do, and sampling that small differences would show in. */
  private static Request request(int number, boolean seeded) {
    SplittableRandom random = new SplittableRandom(number);
    int common = new int[] {0, 64, 100, 130}[number % 4];
    int own = random.nextInt(1, 60);
    int[] prompt =
        IntStream.range(0, common + own)
            .map(i -> i < common ? i * 37 % 200 : random.nextInt(200))
            .toArray();
    Sampling sampling = Sampling.DEFAULT.withTemperature(1.5f).withTopK(0);
    return Request.of(prompt)
        .withMaxTokens(20 + number % 30)
        .withIgnoreEnd(true)
        .withSampling(seeded ? sampling.withSeed(number) : sampling);
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  /** Each request by itself, in an engine that remembers nothing. */
  private static List<int[]> alone(Path path, KvFormat format, KernelProvider kernels, int count) {
    List<int[]> alone = new ArrayList<>();
    with(
        path,
        format,
        kernels,
        Engine.Options.usual().withPrefixes(false),
        engine ->
            IntStream.range(0, count)
                .forEach(i -> alone.add(tokens(engine.start(request(i, true))))));
    return alone;
  }

  private static void compare(Path path, KvFormat format, KernelProvider kernels) {
    int count = 6;
    List<int[]> alone = alone(path, format, kernels, count);
    with(
        path,
        format,
        kernels,
        Engine.Options.usual(),
        engine -> {
          try (ExecutorService threads = Executors.newFixedThreadPool(6)) {
            List<CompletableFuture<int[]>> together = new ArrayList<>();
            for (int i = 0; i < 2 * count; i++) {
              int number = i % count;
              together.add(
                  CompletableFuture.supplyAsync(
                      () -> tokens(engine.start(request(number, true))), threads));
              CompletableFuture<int[]> _ =
                  CompletableFuture.supplyAsync(
                      () -> tokens(engine.start(request(number + 1, false))), threads);
            }
            for (int i = 0; i < 2 * count; i++) {
              assertThat(together.get(i).join())
                  .as("request %d", i)
                  .isEqualTo(alone.get(i % count));
            }
          }
        });
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "SCALAR") // whose order is one
  void inWeightsOfBlocks(KernelProvider kernels) {
    if (KernelProvider.here().contains(kernels)) {
      compare(TinyModel.dense(folder, Formats.Q8_0), KvFormat.F16, kernels);
    }
  }

  @Test
  void whereExpertsMeetFewTokens() {
    compare(TinyModel.experts(folder, Formats.Q8_0), KvFormat.F16, KernelProvider.here().getLast());
  }

  @Test
  void whereRecentTokensAreHeldInAnotherForm() {
    KvFormat mixed = new KvFormat(Formats.F8_E4M3, Formats.F8_E4M3, 32, KvTransform.NONE);
    compare(TinyModel.dense(folder, Formats.Q8_0), mixed, KernelProvider.here().getLast());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void anEngineMayBeOpenedSo(boolean all) {
    with(
        TinyModel.dense(folder, Formats.Q8_0),
        KvFormat.F16,
        KernelProvider.SCALAR,
        Engine.Options.usual().withReproducible(all),
        engine -> {
          try (Answer answer = engine.start(request(3, false));
              Answer seeded = engine.start(request(3, true))) {
            assertThat(answer.isReproducible()).isEqualTo(all);
            assertThat(seeded.isReproducible()).isTrue();
            answer.text();
            Request again =
                request(3, false).withSampling(request(3, true).sampling().withSeed(answer.seed()));
            int[] repeated = tokens(engine.start(again));
            assertThat(Arrays.equals(repeated, answer.tokens())).isTrue(); // of one order in scalar
          }
        });
  }
}
