package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Channels are in one order wherever a cache is filled, and wherever it goes on. */
class ReorderedCacheTest {
  private static final KvFormat FORMAT =
      KvFormat.parse("q8_0").withTransform(KvTransform.REORDERED);
  private static final int[] PROMPT = new Random(1).ints(90, 0, 300).toArray();
  private static final int ANSWER = 12;

  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private interface Use {
    void accept(Engine engine);
  }

  private void with(Plan.Weights weights, Use use) throws IOException {
    Plan plan =
        new Plan(
            "golden",
            64L << 20,
            256,
            2,
            Plan.Cache.of(FORMAT),
            64,
            2,
            weights,
            List.of(),
            List.of(),
            new Plan.Prediction(0, 0, 0, 0, 0));
    try (ModelFile file = ModelFile.open(TestData.path("golden/llama/model.gguf"));
        Engine engine = Engine.open(file, null, plan, new Host(budget), Engine.Options.usual())) {
      use.accept(engine);
    }
  }

  private static Request request(int... prompt) {
    return Request.of(prompt)
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(ANSWER)
        .withIgnoreEnd(true);
  }

  private static int[] answer(Engine engine) {
    try (Answer answer = engine.start(request(PROMPT))) {
      answer.text();
      return answer.tokens();
    }
  }

  @Test
  void weightsThatAreStreamedGiveTheSameOrder() throws IOException {
    int[][] answers = new int[2][];
    with(Plan.Weights.RESIDENT, engine -> answers[0] = answer(engine));
    int layers;
    try (ModelFile file = ModelFile.open(TestData.path("golden/llama/model.gguf"))) {
      ModelSpec spec = Families.spec(file);
      layers = spec.layers().size();
    }
    List<Integer> all = IntStream.range(0, layers).boxed().toList();
    with(new Plan.Weights(all, false, 4L << 20, -1), engine -> answers[1] = answer(engine));
    assertThat(answers[1]).hasSize(ANSWER).isEqualTo(answers[0]);
  }

  @Test
  void sequencesShareWhatTheyBeginWith() throws IOException {
    with(
        Plan.Weights.RESIDENT,
        engine -> {
          int[] first = answer(engine);
          try (Answer again = engine.start(request(PROMPT))) {
            again.text();
            assertThat(again.usage().cachedTokens()).isPositive();
            assertThat(again.tokens()).isEqualTo(first);
          }
        });
  }

  @Test
  void aSavedSessionGoesOnInAnotherEngine() throws IOException {
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    int[][] tokens = new int[2][];
    with(
        Plan.Weights.RESIDENT,
        engine -> {
          try (Session session = engine.session()) {
            tokens[0] = answer(session, PROMPT);
            session.save(store, "a", CacheStore.Precision.AS_STORED);
            tokens[1] = answer(session, next(tokens[0]));
          }
        });
    with(
        Plan.Weights.RESIDENT,
        engine -> {
          try (Session session = engine.session()) {
            assertThat(session.restore(store, "a")).isEqualTo(PROMPT.length + ANSWER - 1);
            assertThat(answer(session, next(tokens[0]))).isEqualTo(tokens[1]);
          }
        });
  }

  private static int[] next(int[] answer) {
    int[] next = Arrays.copyOf(PROMPT, PROMPT.length + answer.length + 1);
    System.arraycopy(answer, 0, next, PROMPT.length, answer.length);
    next[next.length - 1] = 7;
    return next;
  }

  private static int[] answer(Session session, int[] prompt) {
    try (Answer answer = session.start(request(prompt))) {
      answer.text();
      return answer.tokens();
    }
  }
}
