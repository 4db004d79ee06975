package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.ContextExceededException;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.error.SequencesExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.generation.Usage;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class EngineTest {
  private static final int[] ALL = IntStream.range(0, TinyModel.LAYERS).toArray();
  private static final int[] PROMPT = IntStream.range(0, 35).map(i -> i * 37 % 200).toArray();
  private static final Overflow SHIFT = new Overflow.Shift(5);

  @TempDir static Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
    assertThat(budget.accounts()).allMatch(a -> a.used() == 0);
  }

  private interface Use {
    void accept(Engine engine);
  }

  private void with(Path path, Plan plan, Use use) {
    try (ModelFile file = ModelFile.open(path);
        Engine engine = Engine.open(file, null, plan, new Host(budget), options())) {
      use.accept(engine);
    }
  }

  private void withDense(int sequences, Use use) {
    with(
        TinyModel.dense(folder, Formats.F16),
        TinyModel.plan(sequences, 16, TinyModel.RESIDENT),
        use);
  }

  private static Engine.Options options() {
    return Engine.Options.usual().withPrecision(Compute.Precision.EIGHT_BIT);
  }

  /** An answer of this many tokens at random, by seed. */
  private static Request random(long seed, int tokens, int... prompt) {
    return Request.of(prompt)
        .withMaxTokens(tokens)
        .withSampling(Sampling.DEFAULT.withSeed(seed).withPenalties(1.1f, 0.1f, 0.1f, 20));
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  @ParameterizedTest
  @MethodSource("dev.knapsack.kernel.KernelProvider#here")
  void writesTheStoryOfTheReference(KernelProvider kernels) throws IOException {
    String expected =
        Files.readString(TestData.path("models/stories260K.expected.txt"), StandardCharsets.UTF_8);
    try (ModelFile file = ModelFile.open(TestData.path("models/stories260K.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Plan plan = withContext(TinyModel.plan(1, 32, TinyModel.RESIDENT), 512);
      Host host = new Host(budget, Host.Options.of(kernels.open()));
      try (Engine engine = Engine.open(file, tokenizer, plan, host, options());
          Answer answer =
              engine.start(
                  Request.of(tokenizer.bos()).withSampling(Sampling.GREEDY).withMaxTokens(200))) {
        assertThat(answer.text()).isEqualTo(expected);
      }
    }
  }

  private static Plan withContext(Plan p, int context) {
    return new Plan(
        p.model(),
        p.budget(),
        context,
        p.sequences(),
        p.cache(),
        p.prefillChunk(),
        p.workers(),
        p.weights(),
        p.shares(),
        p.choices(),
        p.prediction());
  }

  static Stream<Plan.Weights> denses() {
    return Stream.of(
        TinyModel.streaming(false, 80 << 10, ALL),
        TinyModel.streaming(true, 40 << 10, 1, 2, 5),
        TinyModel.streaming(true, 32 << 10),
        TinyModel.streaming(true, 64 << 10, ALL));
  }

  @ParameterizedTest
  @MethodSource("denses")
  void streamedWeightsChangeNothing(Plan.Weights weights) {
    compare(TinyModel.dense(folder, Formats.Q8_0), weights);
  }

  static Stream<Plan.Weights> mixtures() {
    return Stream.of(
        TinyModel.streaming(false, 512 << 10, ALL),
        new Plan.Weights(List.of(), false, 0, 4 * 52 << 10),
        new Plan.Weights(List.of(0, 6), true, 80 << 10, 30 * 52 << 10));
  }

  @ParameterizedTest
  @MethodSource("mixtures")
  void cachedExpertsChangeNothing(Plan.Weights weights) {
    compare(TinyModel.experts(folder, Formats.F16), weights);
    compare(TinyModel.fusedExperts(folder, Formats.F16), weights);
  }

  private void compare(Path path, Plan.Weights weights) {
    List<float[]> resident = new ArrayList<>();
    List<int[]> answers = new ArrayList<>();
    Use run =
        engine -> {
          engine.logits(PROMPT, (at, row) -> resident.add(row.toArray(ValueLayout.JAVA_FLOAT)));
          answers.add(tokens(engine.start(random(3, 20, PROMPT))));
          answers.add(
              tokens(engine.start(Request.of(7).withSampling(Sampling.GREEDY).withMaxTokens(9))));
        };
    with(path, TinyModel.plan(1, 16, TinyModel.RESIDENT), run);
    List<float[]> expected = List.copyOf(resident);
    List<int[]> expectedAnswers = List.copyOf(answers);
    resident.clear();
    answers.clear();
    with(path, TinyModel.plan(1, 16, weights), run);
    assertThat(expected).hasSize(PROMPT.length);
    assertThat(Arrays.deepEquals(resident.toArray(), expected.toArray())).isTrue();
    assertThat(Arrays.deepEquals(answers.toArray(), expectedAnswers.toArray())).isTrue();
    assertThat(answers.getFirst()).hasSize(20);
  }

  @Test
  void logitsAreThoseThatTokensAreChosenFrom() {
    withDense(
        1,
        engine -> {
          int[] answer =
              tokens(
                  engine.start(Request.of(PROMPT).withSampling(Sampling.GREEDY).withMaxTokens(30)));
          int[] all = IntStream.concat(IntStream.of(PROMPT), IntStream.of(answer)).toArray();
          int[] likeliest = new int[all.length];
          engine.logits(
              all,
              (at, row) -> {
                float[] logits = row.toArray(ValueLayout.JAVA_FLOAT);
                for (int t = 0; t < logits.length; t++) {
                  likeliest[at] = logits[t] > logits[likeliest[at]] ? t : likeliest[at];
                }
              });
          int from = PROMPT.length - 1;
          assertThat(Arrays.copyOfRange(likeliest, from, from + 30)).isEqualTo(answer);
        });
  }

  @Test
  void samplesOfOnePromptAreWhatEachWouldBeAlone() {
    withDense(
        4,
        engine -> {
          List<int[]> alone =
              IntStream.range(0, 4)
                  .mapToObj(i -> tokens(engine.start(random(50 + i, 25, PROMPT))))
                  .toList();
          List<Answer> together = engine.start(random(50, 25, PROMPT), 4);
          assertThat(together).extracting(Answer::seed).containsExactly(50L, 51L, 52L, 53L);
          for (int i : new int[] {2, 0, 3, 1}) {
            together.get(i).text();
          }
          for (int i = 0; i < 4; i++) {
            assertThat(together.get(i).tokens()).isEqualTo(alone.get(i));
          }
          assertThat(alone.get(0)).isNotEqualTo(alone.get(1));
        });
  }

  @Test
  void samplesOutliveTheOneThatReadTheirPrompt() {
    withDense(
        3,
        engine -> {
          int[] alone = tokens(engine.start(random(9, 60, PROMPT)));
          List<Answer> answers =
              engine
                  .loop()
                  .ask(() -> {
                    List<Answer> started = engine.start(random(7, 60, PROMPT), 3);
                    started.getFirst().close();
                    return started;
                  });
          assertThat(answers.get(0).tokens()).isEmpty();
          assertThat(tokens(answers.get(2))).isEqualTo(alone);
          answers.get(1).cancel();
          assertThat(answers.get(1).finishReason()).contains(FinishReason.CANCELLED);
        });
  }

  @Test
  void sequencesThatShareStepsAreWhatEachWouldBeAlone() throws Exception {
    int answers = 6;
    withDense(
        answers,
        engine -> {
          List<Request> requests =
              IntStream.range(0, answers)
                  .mapToObj(i -> random(i, 10 + 5 * i, Arrays.copyOf(PROMPT, 3 + 7 * i)))
                  .toList();
          List<int[]> alone = requests.stream().map(r -> tokens(engine.start(r))).toList();
          try (ExecutorService threads = Executors.newFixedThreadPool(answers)) {
            List<CompletableFuture<int[]>> together =
                requests.stream()
                    .map(r -> CompletableFuture.supplyAsync(() -> tokens(engine.start(r)), threads))
                    .toList();
            for (int i = 0; i < answers; i++) {
              assertThat(together.get(i).join()).isEqualTo(alone.get(i));
            }
          }
        });
  }

  @Test
  void aSessionComputesOnlyWhatIsNew() {
    withDense(
        2,
        engine -> {
          try (Session session = engine.session()) {
            Answer first = session.start(random(1, 10, PROMPT));
            assertThat(first.usage().cachedTokens()).isZero();
            int[] answer = tokens(first);
            int[] next =
                Stream.of(PROMPT, answer, new int[] {5, 6, 7})
                    .flatMapToInt(IntStream::of)
                    .toArray();
            try (Answer second = session.start(random(2, 10, next))) {
              // The last token of an answer has not been computed when the answer ends.
              assertThat(second.usage().cachedTokens()).isEqualTo(PROMPT.length + 9);
              second.text();
              assertThat(second.tokens()).isEqualTo(tokens(engine.start(random(2, 10, next))));
            }
            int[] other = PROMPT.clone();
            other[30] = 1;
            try (Answer third = session.start(random(3, 4, other))) {
              assertThat(third.usage().cachedTokens()).isEqualTo(30);
              third.text();
              assertThat(third.tokens()).isEqualTo(tokens(engine.start(random(3, 4, other))));
            }
            try (Answer same = session.start(random(3, 60, other))) {
              assertThat(same.usage().cachedTokens()).isEqualTo(other.length - 1);
              assertThatThrownBy(() -> session.start(random(3, 4, other)))
                  .isInstanceOf(IllegalStateException.class)
                  .hasMessageContaining("still answering");
            }
          }
        });
  }

  @Test
  void anIdleSessionMakesRoom() {
    withDense(
        1,
        engine -> {
          try (Session session = engine.session()) {
            int[] expected = tokens(session.start(random(1, 5, PROMPT)));
            assertThat(session.cachedTokens()).isPositive();
            tokens(engine.start(random(1, 5, 3)));
            assertThat(session.cachedTokens()).isZero();
            assertThat(tokens(session.start(random(1, 5, PROMPT)))).isEqualTo(expected);
          }
        });
  }

  @Test
  void aFullContextEndsTheAnswerOrIsShifted() {
    withDense(
        1,
        engine -> {
          Request request = random(4, 100_000, PROMPT);
          try (Answer answer = engine.start(request)) {
            answer.text();
            assertThat(answer.finishReason()).contains(FinishReason.CONTEXT_FULL);
            assertThat(answer.tokens()).hasSize(TinyModel.CONTEXT - PROMPT.length);
          }
          try (Answer answer = engine.start(request.withMaxTokens(300).withOverflow(SHIFT))) {
            answer.text();
            assertThat(answer.finishReason()).contains(FinishReason.MAX_TOKENS);
            assertThat(answer.tokens()).hasSize(300);
          }
        });
  }

  @Test
  void aShiftedSequenceIsThatOfTheTokensItKeeps() {
    withDense(
        1,
        engine -> {
          int full = TinyModel.CONTEXT - PROMPT.length;
          Request greedy = Request.of(PROMPT).withSampling(Sampling.GREEDY).withOverflow(SHIFT);
          int[] shifted = tokens(engine.start(greedy.withMaxTokens(full + 20)));
          int[] all =
              Stream.of(PROMPT, Arrays.copyOf(shifted, full)).flatMapToInt(IntStream::of).toArray();
          int tail = (TinyModel.CONTEXT - 5) / 2;
          int[] kept =
              Stream.of(
                      Arrays.copyOf(all, 5), Arrays.copyOfRange(all, all.length - tail, all.length))
                  .flatMapToInt(IntStream::of)
                  .toArray();
          Request again = Request.of(kept).withSampling(Sampling.GREEDY).withMaxTokens(20);
          assertThat(tokens(engine.start(again)))
              .isEqualTo(Arrays.copyOfRange(shifted, full, full + 20));
        });
  }

  @Test
  void refusesWhatDoesNotFitAndStaysUsable() {
    withDense(
        2,
        engine -> {
          assertThatThrownBy(() -> engine.start(Request.of(new int[TinyModel.CONTEXT])))
              .isInstanceOf(ContextExceededException.class)
              .hasMessageContaining("128 tokens");
          assertThatThrownBy(() -> engine.start(Request.of(TinyModel.VOCABULARY)))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("Token 211");
          assertThatThrownBy(() -> engine.start(Request.of(1), 3))
              .isInstanceOf(SequencesExceededException.class);
          assertThatThrownBy(() -> engine.start(Request.of(1).withStops("x")))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("tokenizer");
          long used = budget.used();
          Account other = budget.account("other");
          try (Lease rest = other.reserve(budget.free())) {
            assertThat(rest.bytes()).isPositive();
            assertThatThrownBy(() -> engine.start(Request.of(1), 2))
                .isInstanceOf(BudgetExceededException.class)
                .hasMessageContaining("'kv'");
          }
          assertThat(budget.used()).isEqualTo(used);
          assertThat(tokens(engine.start(random(1, 5, 1)))).hasSize(5);
          assertThat(budget.used()).isEqualTo(used);
        });
  }

  @Test
  void anotherThreadCanCancel() {
    withDense(
        1,
        engine -> {
          Answer answer = engine.start(Request.of(PROMPT).withOverflow(SHIFT).withIgnoreEnd(true));
          CountDownLatch running = new CountDownLatch(1);
          CompletableFuture<Void> taker =
              CompletableFuture.runAsync(() -> {
                running.countDown();
                answer.text(); // would go on for two thousand million tokens
              });
          try {
            running.await();
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
          answer.cancel();
          taker.join();
          assertThat(answer.finishReason()).contains(FinishReason.CANCELLED);
          assertThat(tokens(engine.start(random(1, 5, 1)))).hasSize(5);
        });
  }

  @Test
  void closingTheEngineEndsAnswers() {
    Answer[] answer = new Answer[1];
    Session[] session = new Session[1];
    withDense(
        2,
        engine -> {
          answer[0] = engine.start(random(1, 50, PROMPT));
          session[0] = engine.session();
          tokens(session[0].start(random(1, 5, PROMPT)));
          engine.close();
        });
    assertThatThrownBy(answer[0]::text).isInstanceOf(EngineClosedException.class);
    assertThatThrownBy(() -> session[0].start(Request.of(1)))
        .isInstanceOf(EngineClosedException.class);
    answer[0].close();
    session[0].close();
  }

  @ParameterizedTest
  @MethodSource("denses")
  void aReadThatFailsEndsTheAnswerAndNoMore(Plan.Weights weights) {
    TinyModel.Failing file =
        new TinyModel.Failing(ModelFile.open(TinyModel.dense(folder, Formats.Q8_0)));
    Plan plan = TinyModel.plan(1, 16, weights);
    int[] prompt = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8};
    try (file;
        Engine engine = Engine.open(file, null, plan, new Host(budget), options());
        Session session = engine.session()) {
      int[] expected = tokens(session.start(random(1, 8, prompt)));
      for (int reads = 0; reads < 8; reads += 3) {
        file.failAfter(reads);
        try (Answer answer = session.start(random(1, 8, prompt))) {
          assertThatThrownBy(answer::text)
              .isInstanceOf(ModelFileException.class)
              .hasMessageContaining("the disk is gone");
        }
        file.failAfter(Long.MAX_VALUE);
        assertThat(tokens(session.start(random(1, 8, prompt)))).isEqualTo(expected);
      }
      file.failAfter(3); // closed while its weights cannot be read
    }
  }

  @Test
  void aModelThatDoesNotFitLeavesNothingBehind() {
    Path path = TinyModel.dense(folder, Formats.F16);
    try (ModelFile file = ModelFile.open(path)) {
      for (String size : List.of("4KiB", "64KiB", "256KiB", "512KiB")) {
        Budget small = Budget.of(size);
        Plan plan = TinyModel.plan(1, 16, TinyModel.RESIDENT);
        assertThatThrownBy(() -> Engine.open(file, null, plan, new Host(small), options()))
            .isInstanceOf(BudgetExceededException.class);
        assertThat(small.used()).isZero();
      }
    }
  }

  @Test
  void anAnswerIsWrittenAsItIsTaken() throws IOException {
    try (ModelFile file = ModelFile.open(TestData.path("models/stories260K.gguf"))) {
      Tokenizer tokenizer = Tokenizer.of(file);
      Plan plan = withContext(TinyModel.plan(2, 32, TinyModel.RESIDENT), 512);
      try (Engine engine = Engine.open(file, tokenizer, plan, new Host(budget), options())) {
        Request greedy = Request.of(tokenizer.bos()).withSampling(Sampling.GREEDY);
        String story;
        try (Answer answer = engine.start(greedy.withMaxTokens(60))) {
          StringBuilder heard = new StringBuilder();
          story = answer.each(heard::append).textSoFar();
          assertThat(heard.toString()).isEqualTo(story);
          Usage usage = answer.usage();
          assertThat(usage.tokens()).isEqualTo(60);
          assertThat(usage.decodeTokensPerSecond()).isPositive();
          assertThat(usage.secondsToFirstToken()).isPositive();
        }
        try (Answer answer = engine.start(greedy.withMaxTokens(60))) {
          for (int turn = 0; turn < 60; turn++) {
            engine.waiting(); // a step was possible between one and the next
          }
          assertThat(answer.tokens()).hasSize(Answer.AHEAD);
          Iterator<String> pieces = answer.iterator();
          assertThat(story).startsWith(pieces.next());
          pieces.forEachRemaining(piece -> {});
          assertThat(answer.tokens()).hasSize(60);
        }
        String stop = "little girl";
        try (Answer answer = engine.start(greedy.withMaxTokens(60).withStops(stop))) {
          assertThat(String.join("", answer.stream().toList()))
              .isEqualTo(story.substring(0, story.indexOf(stop)));
          assertThat(answer.finishReason()).contains(FinishReason.STOP_STRING);
          assertThat(answer.stopString()).contains(stop);
        }
      }
    }
  }
}
