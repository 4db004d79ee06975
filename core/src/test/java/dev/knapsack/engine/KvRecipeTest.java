package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import dev.knapsack.error.CacheNotSavedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A plan's recipe is what the engine keeps, within the bytes that the plan says. */
class KvRecipeTest {
  private static final int CONTEXT = 512;
  private final KernelProvider.Choice kernels = KernelProvider.best();
  @TempDir private Path folder;
  private ModelFile file;

  @BeforeEach
  void open() {
    file = ModelFile.open(TestData.path("models/stories260K.gguf"));
  }

  @AfterEach
  void close() {
    file.close();
  }

  private Plan plan(KvPolicy policy, int sequences, int chunk) {
    Planner planner =
        new Planner(
            file,
            Families.spec(file),
            TinyModel.MACHINE,
            kernels.kernels(),
            new JvmShare(4096, 0, 0, 0));
    PlanRequest request =
        PlanRequest.of(1L << 30, 1)
            .withContext(CONTEXT)
            .withSequences(sequences)
            .withPrefillChunk(chunk)
            .withCache(KvChoice.USUAL.withPolicy(policy));
    // As it comes out of a file.
    return Plan.ofJson(planner.plan(request).toJson());
  }

  private Engine engine(Plan plan, Budget budget) {
    return Engine.open(
        file, null, plan, new Host(budget, Host.Options.of(kernels)), Engine.Options.usual());
  }

  private Request request(int tokens, int answer) {
    int[] prompt = new Random(tokens).ints(tokens, 3, Families.spec(file).vocabulary()).toArray();
    return Request.of(prompt)
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(answer)
        .withIgnoreEnd(true);
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  private static long share(Plan plan, String account) {
    return plan.shares().stream()
        .filter(s -> s.account().equals(account))
        .mapToLong(Plan.Share::bytes)
        .sum();
  }

  @ParameterizedTest
  @CsvSource({"1, 32", "1, 200", "3, 64"})
  void answersMoreThanItKeepsWithinItsBytes(int sequences, int chunk) {
    Plan plan = plan(Recipe.streaming(4, 60), sequences, chunk);
    assertThat(share(plan, "kv")).isLessThan(share(plan(KvPolicy.FULL, sequences, chunk), "kv"));
    Budget budget = Budget.ofBytes(plan.bytes());
    try (Engine engine = engine(plan, budget)) {
      assertThat(engine.kvLayout().policy()).isEqualTo(Recipe.streaming(4, 60));
      int[] alone = tokens(engine.start(request(400, 100)));
      assertThat(alone).hasSize(100);
      // Samples of one prompt, side by side; what is forgotten depends on the sequence alone.
      for (Answer answer : engine.start(request(400, 100), sequences)) {
        assertThat(answer.usage().cachedTokens()).as("nothing is shared with the first").isZero();
        assertThat(tokens(answer)).isEqualTo(alone);
      }
      assertThat(budget.account("kv").peak()).isPositive().isLessThanOrEqualTo(share(plan, "kv"));
      assertThat(budget.account("kv/prefixes").peak()).isZero();
    }
    assertThat(budget.peak()).isLessThanOrEqualTo(plan.bytes());
    assertThat(budget.used()).isZero();
  }

  @Test
  void aRecipeThatForgetsNothingYetAnswersAsTheFullCache() {
    int[] expected = null;
    for (KvPolicy policy : new KvPolicy[] {KvPolicy.FULL, Recipe.streaming(4, CONTEXT - 4)}) {
      Plan plan = plan(policy, 1, 64);
      try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes()))) {
        int[] tokens = tokens(engine.start(request(300, 80)));
        assertThat(tokens).isEqualTo(expected == null ? tokens : expected);
        expected = tokens;
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "streaming",
        "knorm",
        "keydiff",
        "lagkv",
        "h2o",
        "scissorhands",
        "cake",
        "arkv",
        "elastic",
        "kvmerger",
        "snapkv",
        "dapq",
        "score=patch(32) budget=uniform(1024) action=evict when=prompt(64)",
        "pyramidkv",
        "adakv",
        "expected",
        "criticalkv",
        "score=streaming(0) budget=uniform(1024) action=shrink(40) when=step",
        "sentencekv",
        "icecache"
      })
  void aBudgetOfAllTokensIsTheFullCache(String method) {
    int[] text = request(200, 1).prompt();
    float[][] full = logits(KvPolicy.FULL, text);
    assertThat(Arrays.deepEquals(logits(Recipe.of(method), text), full)).isTrue();
  }

  private float[][] logits(KvPolicy policy, int[] text) {
    Plan plan = plan(policy, 1, 64);
    List<float[]> logits = new ArrayList<>();
    try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes()))) {
      engine.logits(text, 100, (_, row) -> logits.add(row.toArray(ValueLayout.JAVA_FLOAT)));
    }
    assertThat(logits).hasSize(100);
    return logits.toArray(float[][]::new);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "knorm(80)",
        "h2o(80)",
        "snapkv(80)",
        "dapq(80)",
        "score=patch(16) budget=uniform(80) action=evict when=prompt(32)",
        "pyramidkv(80)",
        "adakv(80)",
        "expected(80)",
        "criticalkv(80)",
        "think(50)",
        "arkv(80)",
        "sentencekv(80)",
        "icecache(80)"
      })
  void answersAfterWhatThePromptLeft(String method) {
    int[] expected = null;
    for (int sequences : new int[] {1, 2}) {
      Plan plan = plan(Recipe.of(method), sequences, 64);
      Budget budget = Budget.ofBytes(plan.bytes());
      try (Engine engine = engine(plan, budget);
          Session session = engine.session()) {
        int[] answer = tokens(session.start(request(300, 60)));
        assertThat(answer).hasSize(60);
        assertThat(expected)
            .satisfiesAnyOf(e -> assertThat(e).isNull(), e -> assertThat(answer).isEqualTo(e));
        expected = answer;
        assertThat(budget.account("kv").peak()).isLessThanOrEqualTo(share(plan, "kv"));
        assertThat(session.cachedTokens()).isEqualTo(359);
      }
      assertThat(budget.used()).isZero();
    }
  }

  /** If no row stood after the prompt, no token would have been looked at, and the last stay. */
  @Test
  void rowsAfterThePromptAreLookedAtWhereverItIsRead() {
    String rest = " budget=uniform(80) action=evict when=prompt";
    int[] text = request(200, 1).prompt();
    List<float[][]> logits = new ArrayList<>();
    List<int[]> answers = new ArrayList<>();
    List<float[]> read = new ArrayList<>();
    for (String score : List.of("score=streaming(0)", "score=ahead(16)")) {
      KvPolicy policy = Recipe.of(score + rest);
      logits.add(logits(policy, text));
      Plan plan = plan(policy, 1, 64);
      try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes() + (8 << 20)))) {
        answers.add(tokens(engine.start(request(300, 60))));
        try (Reading reading = engine.read(text, (_, _) -> {})) {
          assertThat(reading.tokens()).isEqualTo(200);
          reading.read(new int[] {5}, (_, row) -> read.add(row.toArray(ValueLayout.JAVA_FLOAT)));
        }
      }
    }
    // Up to the prompt's end, and past it.
    assertThat(logits.get(1)[0]).isEqualTo(logits.get(0)[0]);
    assertThat(logits.get(1)[99]).isNotEqualTo(logits.get(0)[99]);
    assertThat(answers.get(1)).isNotEqualTo(answers.get(0));
    assertThat(read.get(1)).isNotEqualTo(read.get(0));
  }

  @Test
  void whatGoesByAllAttentionSoFarIsNotSavedWithoutIt() {
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    Plan plan = plan(Recipe.of("h2o(80)"), 1, 64);
    try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes()));
        Session session = engine.session()) {
      tokens(session.start(request(100, 5)));
      assertThatThrownBy(() -> session.save(store, "kept"))
          .isInstanceOf(CacheNotSavedException.class)
          .hasMessageContaining("score=h2o(40)")
          .hasMessageContaining("snapkv");
      assertThat(store.find("kept")).isEmpty();
    }
  }

  /** What is requantised in the same format is what it was, wherever it now lies. */
  @Test
  void tokensThatCountLessAreNotForgotten() {
    int[] expected = null;
    for (String recipe : List.of("full", QUANTISED)) {
      Plan plan = plan(Recipe.of(recipe), 1, 64);
      Budget budget = Budget.ofBytes(plan.bytes());
      try (Engine engine = engine(plan, budget)) {
        int[] tokens = tokens(engine.start(request(300, 80)));
        assertThat(tokens).isEqualTo(expected == null ? tokens : expected);
        expected = tokens;
        assertThat(budget.account("kv").peak()).isLessThanOrEqualTo(share(plan, "kv"));
      }
    }
    assertThat(plan(Recipe.of(QUANTISED.replace("f16", "f8_e4m3")), 1, 64).shares())
        .filteredOn(s -> s.account().equals("kv"))
        .extracting(Plan.Share::what)
        .containsExactly(
            "512 tokens in F16, streaming(4) uniform(60): at most 75 so, the rest in F8_E4M3");
  }

  private static final String QUANTISED =
      "score=streaming(4) budget=uniform(60) action=quantise(f16) when=block(16)";

  @ParameterizedTest
  @ValueSource(strings = {"streaming(4,60)", QUANTISED})
  void whatIsKeptIsSavedAndGoneOnFrom(String recipe) {
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    Plan plan = plan(Recipe.of(recipe), 1, 64);
    int[] next;
    Request more;
    try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes()));
        Session session = engine.session()) {
      Request first = request(300, 20);
      int[] answer = tokens(session.start(first));
      assertThat(session.save(store, "kept", CacheStore.Precision.AS_STORED)).isPositive();
      int[] longer = new int[300 + 20 + 30];
      System.arraycopy(first.prompt(), 0, longer, 0, 300);
      System.arraycopy(answer, 0, longer, 300, 20);
      System.arraycopy(request(30, 1).prompt(), 0, longer, 320, 30);
      more = Request.of(longer).withSampling(Sampling.GREEDY).withMaxTokens(40).withIgnoreEnd(true);
      next = tokens(session.start(more));
    }
    try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes()));
        Session session = engine.session()) {
      assertThat(session.restore(store, "kept")).isEqualTo(319);
      try (Answer answer = session.start(more)) {
        assertThat(answer.usage().cachedTokens()).isEqualTo(319);
        assertThat(tokens(answer)).isEqualTo(next);
      }
    }
    Plan other = plan(KvPolicy.FULL, 1, 64);
    try (Engine engine = engine(other, Budget.ofBytes(other.bytes()));
        Session session = engine.session()) {
      assertThatThrownBy(() -> session.restore(store, "kept"))
          .hasMessageContaining("score=streaming(4)")
          .asInstanceOf(InstanceOfAssertFactories.type(CacheFileException.class))
          .returns(Problem.RECIPE, CacheFileException::problem);
    }
  }
}
