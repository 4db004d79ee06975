package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.knapsack.TestData;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.file.HandMadeMetadata;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.generation.Denoising;
import dev.knapsack.generation.Denoising.Confidence;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Diffusion;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers of models that denoise texts. */
@Timeout(240)
class DenoisingTest {
  private static final int CONTEXT = 100;

  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine) throws Exception;
  }

  private void with(String model, int sequences, boolean text, Use use) throws Exception {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + model + "/model.gguf"))) {
      @Nullable Tokenizer tokenizer = text ? Tokenizer.of(file) : null;
      try (Engine engine =
          Engine.open(
              file, tokenizer, plan(file, sequences), new Host(budget), Engine.Options.usual())) {
        use.accept(engine);
      }
    }
  }

  private static Plan plan(ModelFile file, int sequences) {
    Host host = new Host(Budget.of("1MiB"));
    Planner planner =
        new Planner(
            file,
            Families.spec(file),
            TinyModel.MACHINE,
            host.kernels().kernels(),
            new JvmShare(4096, 0, 0, 0));
    return planner.plan(PlanRequest.of(32L << 20, 1).withContext(CONTEXT).withSequences(sequences));
  }

  private static int[] prompt(int length, int seed) {
    return new SplittableRandom(seed).ints(length, 0, 300).toArray();
  }

  private static Request request(int[] prompt, int tokens, Denoising denoising) {
    return Request.of(prompt)
        .withMaxTokens(tokens)
        .withIgnoreEnd(true)
        .withSampling(Sampling.GREEDY.withDenoising(denoising));
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  private static List<Denoising> ways() {
    return List.of(
        Denoising.DEFAULT,
        Denoising.DEFAULT.withBlockLength(8).withSteps(3),
        Denoising.DEFAULT.withBlockLength(20).withSteps(6),
        Denoising.DEFAULT.withBlockLength(7).withSteps(4).withConfidence(Confidence.MARGIN),
        Denoising.DEFAULT.withBlockLength(16).withSteps(5).withConfidence(Confidence.ENTROPY),
        Denoising.DEFAULT.withBlockLength(1),
        Denoising.DEFAULT.withBlockLength(64).withSteps(10));
  }

  /**
   * LLaDA's published loop, with all logits in each step; with Dream's measures, and its shift.
   *
   * @param length a multiple of the block's length
   */
  private static int[] published(Engine engine, int[] prompt, int length, Denoising way) {
    Diffusion diffusion = Objects.requireNonNull(engine.spec().diffusion());
    int mask = diffusion.maskToken();
    int[] x = Arrays.copyOf(prompt, prompt.length + length);
    Arrays.fill(x, prompt.length, x.length, mask);
    for (int block = prompt.length; block < x.length; block += way.blockLength()) {
      int steps = way.steps() == 0 ? way.blockLength() : way.steps();
      int base = way.blockLength() / steps;
      int remainder = way.blockLength() % steps;
      for (int step = 0; step < steps; step++) {
        float[][] rows = new float[x.length][];
        engine.logits(x, (at, row) -> rows[at] = row.toArray(ValueLayout.JAVA_FLOAT));
        int[] x0 = x.clone();
        double[] confidence = new double[x.length];
        Arrays.fill(confidence, Double.NEGATIVE_INFINITY);
        for (int at = block; at < block + way.blockLength(); at++) {
          if (x[at] == mask) {
            float[] logits = rows[diffusion.shifted() ? at - 1 : at];
            double[] p = softmax(logits);
            logits[mask] = Float.NEGATIVE_INFINITY;
            x0[at] = argmax(logits);
            confidence[at] = confidence(way.confidence(), p, x0[at]);
          }
        }
        for (int n = base + (step < remainder ? 1 : 0); n > 0; n--) {
          int best = block;
          for (int at = block; at < block + way.blockLength(); at++) {
            best = confidence[at] > confidence[best] ? at : best;
          }
          x[best] = x0[best];
          confidence[best] = Double.NEGATIVE_INFINITY;
        }
      }
    }
    return Arrays.copyOfRange(x, prompt.length, x.length);
  }

  private static double confidence(Confidence measure, double[] p, int token) {
    double[] sorted = Arrays.stream(p).sorted().toArray();
    return switch (measure) {
      case PROBABILITY -> p[token];
      case MARGIN -> sorted[p.length - 1] - sorted[p.length - 2];
      case ENTROPY -> Arrays.stream(p).map(q -> q * Math.log(q)).sum();
      case RANDOM -> throw new IllegalArgumentException();
    };
  }

  private static double[] softmax(float[] logits) {
    double sum = IntStream.range(0, logits.length).mapToDouble(i -> Math.exp(logits[i])).sum();
    return IntStream.range(0, logits.length).mapToDouble(i -> Math.exp(logits[i]) / sum).toArray();
  }

  private static int argmax(float[] logits) {
    int best = 0;
    for (int i = 0; i < logits.length; i++) {
      best = logits[i] > logits[best] ? i : best;
    }
    return best;
  }

  @ParameterizedTest
  @ValueSource(strings = {"llada", "dream", "llada-moe"})
  void theTokensAreThoseOfThePublishedLoop(String model) throws Exception {
    with(
        model,
        1,
        false,
        engine -> {
          for (Denoising way : ways()) {
            int length = Math.ceilDiv(20, way.blockLength()) * way.blockLength();
            int[] prompt = prompt(9 + way.steps(), way.steps());
            Answer answer = engine.start(request(prompt, length, way));
            assertThat(tokens(answer))
                .as("%s", way)
                .isEqualTo(published(engine, prompt, length, way))
                .doesNotContain(Objects.requireNonNull(engine.spec().diffusion()).maskToken());
            assertThat(answer.finishReason()).contains(FinishReason.MAX_TOKENS);
            int steps = way.steps() == 0 ? way.blockLength() : way.steps();
            assertThat(answer.usage().steps()).isEqualTo(steps * (length / way.blockLength()));
          }
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"llada", "dream", "llada-moe"})
  void draftsChangeNothingAndSaveSteps(String model) throws Exception {
    with(
        model,
        3,
        false,
        engine -> {
          for (Sampling sampling : List.of(Sampling.GREEDY, Sampling.DEFAULT.withSeed(5))) {
            int[] all = new int[5];
            for (Denoising way : ways()) {
              for (int seed = 0; seed < 3; seed++) {
                int[] prompt = prompt(3 + 7 * seed, seed);
                int[] expected = {};
                int most = 0;
                for (int drafts : new int[] {0, 1, 2, 4}) {
                  Request request =
                      request(prompt, 23, way)
                          .withSampling(sampling.withDenoising(way.withDrafts(drafts)));
                  Answer answer = engine.start(request);
                  int[] tokens = tokens(answer);
                  int steps = answer.usage().steps();
                  if (drafts == 0) {
                    expected = tokens;
                    most = steps;
                  }
                  assertThat(tokens).as("%s, %d drafts", way, drafts).isEqualTo(expected);
                  assertThat(steps).isPositive().isLessThanOrEqualTo(most);
                  all[drafts] += steps;
                }
              }
            }
            assertThat(all[1]).as("steps with a draft, of %d", all[0]).isLessThan(all[0]);
            assertThat(all[2]).as("steps with two, of %d", all[1]).isLessThanOrEqualTo(all[1]);
            assertThat(all[4]).as("steps with four, of %d", all[2]).isLessThanOrEqualTo(all[2]);
          }
        });
  }

  /** Where all that is drafted comes true: as many tokens a step as texts fit in it. */
  @ParameterizedTest
  @CsvSource({"5, 0, 16", "5, 1, 9", "5, 3, 5", "20, 3, 9", "60, 3, 16"})
  void draftsAreComputedAsFarAsTheyFit(int promptLength, int drafts, int steps) throws Exception {
    with(
        "dream",
        1,
        false,
        engine -> {
          Denoising way = Denoising.DEFAULT.withConfidence(Confidence.RANDOM).withDrafts(drafts);
          Sampling sampling = Sampling.GREEDY.withLogitBias(Map.of(7, 1000f)).withDenoising(way);
          Request request = request(prompt(promptLength, 1), 16, way).withSampling(sampling);
          Answer answer = engine.start(request);
          assertThat(tokens(answer)).hasSize(16).containsOnly(7);
          assertThat(answer.usage().steps()).isEqualTo(steps);
        });
  }

  @Test
  void answersSideBySideAreAsIfAlone() throws Exception {
    with(
        "llada",
        3,
        false,
        engine -> {
          Denoising way = Denoising.DEFAULT.withBlockLength(6).withSteps(3).withDrafts(2);
          Request request =
              request(prompt(9, 1), 20, way)
                  .withSampling(Sampling.DEFAULT.withSeed(3).withDenoising(way));
          List<int[]> alone = new ArrayList<>();
          for (int i = 0; i < 3; i++) {
            Sampling seeded = request.sampling().withSeed(3 + i);
            alone.add(tokens(engine.start(request.withSampling(seeded))));
          }
          List<Answer> answers = engine.start(request, 3);
          assertThat(answers).allMatch(Answer::isReproducible);
          assertThat(answers.stream().map(DenoisingTest::tokens)).containsExactlyElementsOf(alone);
          assertThat(alone.get(0)).isNotEqualTo(alone.get(1));
        });
  }

  /** A Llama in a block format, as if it had been trained to denoise. */
  private static ModelFile quantised(String name) {
    ModelFile file = ModelFile.open(TestData.path("golden/" + name + "/model.gguf"));
    Map<String, Object> keys = new HashMap<>();
    file.metadata()
        .all()
        .forEach((key, value) -> {
          if (key.startsWith("llama.")) {
            keys.put(key.replace("llama.", "llada."), value);
          }
        });
    keys.put("general.architecture", "llada");
    keys.put("tokenizer.ggml.mask_token_id", 318L);
    return new TinyModel.Watched(file) {
      @Override
      void before(TensorInfo tensor) {}

      @Override
      public Metadata metadata() {
        return HandMadeMetadata.of(path(), keys);
      }
    };
  }

  /** Rows are rounded as several are, also where a step has one of logits. */
  @ParameterizedTest
  @CsvSource({
    "llama_q8_0, SCALAR", "llama_q8_0, VECTOR", "llama_q8_0, X86",
    "llama_q4_k_m, SCALAR", "llama_q4_k_m, VECTOR", "llama_q4_k_m, X86",
    "llama_f16, VECTOR", "llama_f16, X86"
  })
  void draftsAndNeighboursChangeNoBit(String name, KernelProvider kernels) {
    assumeThat(KernelProvider.here()).contains(kernels);
    try (ModelFile file = quantised(name);
        Engine engine =
            Engine.open(
                file,
                null,
                plan(file, 3),
                new Host(budget, Host.Options.of(kernels.open())),
                Engine.Options.usual().withPrecision(Compute.Precision.EIGHT_BIT))) {
      Denoising way = Denoising.DEFAULT.withConfidence(Confidence.RANDOM);
      Request request = request(prompt(6, 1), 9, way).withLogProbabilities(0);
      Sampling sampling = Sampling.GREEDY.withSeed(2).withDenoising(way);
      List<Event.Token> alone = probable(engine.start(request.withSampling(sampling)));
      Sampling drafting = sampling.withDenoising(way.withDrafts(3));
      assertThat(probable(engine.start(request.withSampling(drafting)))).isEqualTo(alone);
      List<Answer> three = engine.start(request.withSampling(sampling.withSeed(1)), 3);
      assertThat(probable(three.get(1))).isEqualTo(alone);
      three.forEach(Answer::close);
    }
  }

  private static List<Event.Token> probable(Answer answer) {
    return answer
        .events()
        .filter(Event.Token.class::isInstance)
        .map(Event.Token.class::cast)
        .toList();
  }

  /** More rows than a step has, with three of them: they take turns. */
  @Test
  void longTextsTakeTurns() throws Exception {
    with(
        "dream",
        3,
        false,
        engine -> {
          Denoising way = Denoising.DEFAULT.withSteps(4);
          Request request = request(prompt(40, 1), 30, way);
          int[] alone = tokens(engine.start(request));
          for (Answer answer : engine.start(request, 3)) {
            assertThat(tokens(answer)).isEqualTo(alone);
          }
        });
  }

  @Test
  void aRandomOrderIsToldByTheSeed() throws Exception {
    with(
        "llada",
        1,
        false,
        engine -> {
          Denoising way = Denoising.DEFAULT.withConfidence(Confidence.RANDOM).withSteps(8);
          Sampling sampling = Sampling.GREEDY.withDenoising(way);
          Request request = request(prompt(9, 1), 32, way);
          int[] one = tokens(engine.start(request.withSampling(sampling.withSeed(1))));
          assertThat(tokens(engine.start(request.withSampling(sampling.withSeed(1)))))
              .isEqualTo(one);
          assertThat(tokens(engine.start(request.withSampling(sampling.withSeed(2)))))
              .isNotEqualTo(one);
          way = way.withDrafts(3);
          Answer drafted =
              engine.start(request.withSampling(sampling.withSeed(1).withDenoising(way)));
          assertThat(tokens(drafted)).isEqualTo(one);
          assertThat(drafted.usage().steps()).isLessThan(8);
        });
  }

  @Test
  void anAnswerEndsWithItsEndToken() throws Exception {
    with(
        "llada",
        1,
        true,
        engine -> {
          int end = 0;
          try (ModelFile file = ModelFile.open(TestData.path("golden/llada/model.gguf"))) {
            end = Tokenizer.of(file).endTokens().getFirst();
          }
          int last = end;
          Denoising way = Denoising.DEFAULT.withBlockLength(8);
          Sampling sampling = Sampling.GREEDY.withDenoising(way).withLogitBias(Map.of(last, 1.5f));
          boolean inside = false;
          for (int seed = 0; seed < 8; seed++) {
            Request request = request(prompt(11, seed), 24, way).withSampling(sampling);
            int[] whole = tokens(engine.start(request));
            int at = IntStream.range(0, 24).filter(i -> whole[i] == last).findFirst().orElse(24);
            Answer answer = engine.start(request.withIgnoreEnd(false));
            assertThat(tokens(answer)).isEqualTo(Arrays.copyOf(whole, at));
            assertThat(answer.finishReason())
                .contains(at < 24 ? FinishReason.END_TOKEN : FinishReason.MAX_TOKENS);
            if (at < 8) {
              assertThat(answer.usage().steps()).isLessThanOrEqualTo(8);
            }
            inside |= at > 0 && at < 24;
          }
          assertThat(inside).isTrue();
        });
  }

  @Test
  void eventsComeInOrderAndStopsEndThem() throws Exception {
    with(
        "dream",
        1,
        true,
        engine -> {
          Denoising way = Denoising.DEFAULT.withBlockLength(8).withSteps(4);
          Request request = request(prompt(11, 2), 24, way).withLogProbabilities(2);
          Answer whole = engine.start(request);
          List<Event> events = whole.events().toList();
          List<Event.Token> tokens =
              events.stream()
                  .filter(Event.Token.class::isInstance)
                  .map(Event.Token.class::cast)
                  .toList();
          assertThat(tokens).hasSize(24);
          assertThat(tokens.stream().mapToInt(Event.Token::id)).containsExactly(boxed(whole));
          assertThat(tokens)
              .allMatch(t -> t.alternatives().size() == 2)
              .allMatch(t -> t.logProbability().orElseThrow() <= 0);
          Usage usage = whole.usage();
          assertThat(usage.steps()).isEqualTo(12);
          assertThat(usage.prefillSeconds()).isZero();
          assertThat(usage.decodeTokensPerSecond()).isPositive();
          String text = whole.textSoFar();
          String stop = text.substring(text.length() / 2, text.length() / 2 + 3);
          Answer stopped = engine.start(request.withStops(stop));
          assertThat(stopped.text()).isEqualTo(text.substring(0, text.indexOf(stop)));
          assertThat(stopped.finishReason()).contains(FinishReason.STOP_STRING);
          assertThat(stopped.usage().steps()).isLessThan(12);
        });
  }

  private static Integer[] boxed(Answer answer) {
    return IntStream.of(answer.tokens()).boxed().toArray(Integer[]::new);
  }

  @Test
  void anAnswerIsAsLongAsFits() throws Exception {
    with(
        "llada",
        1,
        false,
        engine -> {
          Denoising way = Denoising.DEFAULT.withSteps(2);
          Answer full = engine.start(request(prompt(80, 1), 1000, way));
          assertThat(tokens(full)).hasSize(20);
          assertThat(full.finishReason()).contains(FinishReason.CONTEXT_FULL);
          Answer usual = engine.start(request(prompt(2, 1), Integer.MAX_VALUE, way));
          assertThat(tokens(usual)).hasSize(98);
          assertThatThrownBy(() -> engine.start(request(prompt(100, 1), 10, way)))
              .isInstanceOf(ContextExceededException.class)
              .hasMessageContaining("100 tokens");
        });
  }

  @Test
  void itsEndsAreThoseOfOthers() throws Exception {
    AtomicLong time = new AtomicLong();
    try (ModelFile file = ModelFile.open(TestData.path("golden/llada/model.gguf"));
        Engine engine =
            new Engine(
                file,
                null,
                plan(file, 1),
                new Host(budget),
                Engine.Options.usual(),
                () -> time.addAndGet(1_000_000_000))) {
      Request request = request(prompt(20, 1), 70, Denoising.DEFAULT.withBlockLength(1));
      Answer late = engine.start(request.withDeadline(Duration.ofSeconds(60)));
      late.text();
      assertThat(late.finishReason()).contains(FinishReason.DEADLINE);
      assertThat(late.tokens().length).isBetween(1, 69);
      Answer first = engine.start(request);
      Answer second = engine.start(request); // waits for the first one's sequence
      first.cancel();
      assertThat(first.finishReason()).contains(FinishReason.CANCELLED);
      assertThat(tokens(second)).hasSize(70);
    }
  }

  @Test
  void aSessionComputesAllAgainAndIsAsGood() throws Exception {
    with(
        "dream",
        1,
        false,
        engine -> {
          int[] prompt = prompt(20, 1);
          Request request = request(prompt, 10, Denoising.DEFAULT);
          int[] longer = Arrays.copyOf(prompt, 30);
          int[] expected = tokens(engine.start(request.withPrompt(longer)));
          try (Session session = engine.session()) {
            tokens(session.start(request));
            assertThat(session.cachedTokens()).isZero();
            Answer next = session.start(request.withPrompt(longer));
            assertThat(tokens(next)).isEqualTo(expected);
            assertThat(next.usage().cachedTokens()).isZero();
            assertThatThrownBy(() -> session.fill(prompt)).hasMessageContaining("caches nothing");
          }
        });
  }

  @Test
  void refusesWhatCannotBe() throws Exception {
    with(
        "llada",
        1,
        false,
        engine -> {
          Request usual = request(prompt(20, 1), 10, Denoising.DEFAULT);
          assertThatThrownBy(() -> engine.read(prompt(5, 1), (_, _) -> {}))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("ask it for answers");
          assertThatThrownBy(() -> engine.start(usual.withOverflow(new Overflow.Shift(5))))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("longer context");
          Denoising large = Denoising.DEFAULT.withBlockLength(129);
          assertThatThrownBy(() -> engine.start(request(prompt(20, 1), 200, large)))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("129")
              .hasMessageContaining("100");
        });
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F32));
        Engine engine =
            Engine.open(
                file,
                null,
                TinyModel.plan(1, 16, TinyModel.RESIDENT),
                new Host(budget),
                Engine.Options.usual())) {
      Denoising drafts = Denoising.DEFAULT.withDrafts(1);
      assertThatThrownBy(() -> engine.start(request(prompt(5, 1), 10, drafts)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("token by token");
    }
    try (ModelFile file = ModelFile.open(TestData.path("golden/llada/model.gguf"))) {
      Plan steps = TinyModel.plan(1, 16, TinyModel.RESIDENT);
      assertThatThrownBy(() ->
              Engine.open(file, null, steps, new Host(budget), Engine.Options.usual()).close())
          .isInstanceOf(PlanMismatchException.class)
          .hasMessageContaining("16 tokens");
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"PROBABILITY", "MARGIN", "ENTROPY"})
  void confidenceDoesNotOverflow(Confidence measure) {
    float[] logits = {1000, 990, -1e30f, Float.NEGATIVE_INFINITY};
    double sure = Confidences.of(measure, java.lang.foreign.MemorySegment.ofArray(logits), 0, 4, 0);
    float[] even = {3, 3, 3, 3};
    double unsure = Confidences.of(measure, java.lang.foreign.MemorySegment.ofArray(even), 0, 4, 0);
    assertThat(sure).isFinite().isGreaterThan(unsure);
    assertThat(unsure)
        .isEqualTo(
            switch (measure) {
              case PROBABILITY -> 0.25;
              case MARGIN -> 0;
              case ENTROPY -> -Math.log(4);
              case RANDOM -> throw new IllegalArgumentException();
            });
  }

  @ParameterizedTest
  @ValueSource(strings = {"llada", "dream", "llada-moe"})
  void itsPlanHoldsAllOfAStep(String model) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + model + "/model.gguf"))) {
      Plan plan = plan(file, 2);
      assertThat(plan.prefillChunk()).isEqualTo(CONTEXT);
      assertThat(plan.shares())
          .anyMatch(s -> s.account().equals("kv") && s.bytes() == 0 && s.what().contains("whole"));
      assertThat(plan.choices()).noneMatch(c -> c.component().equals("kv"));
      Plan.Prediction speed = plan.prediction();
      // 32 tokens in 32 steps, of the prompt and what is left of the context.
      double step = speed.secondsToFirstToken() / 32;
      assertThat(speed.decodeTokensPerSecond() * step).isBetween(0.999, 1.001);
      assertThat(speed.prefillTokensPerSecond() * step).isBetween(99.9, 100.1);
    }
  }
}
