package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.error.BudgetExceededException;
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
import dev.knapsack.tensor.Formats;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests that say themselves what of their sequences is kept, and how. */
class RequestCacheTest {
  private static final int CONTEXT = 256;
  private static final Plan.Cache PLAIN = Plan.Cache.of(KvFormat.of(Formats.F16, Formats.F16));
  private static final List<Plan.Cache> CACHES =
      List.of(
          PLAIN,
          PLAIN.withPolicy(Recipe.of("streaming(4,60)")),
          Plan.Cache.of(KvFormat.of(Formats.F32, Formats.F8_E4M3)),
          PLAIN.withPolicy(Recipe.of("h2o(80)")));

  private final KernelProvider.Choice kernels = KernelProvider.best();
  private ModelFile file;

  @BeforeEach
  void open() {
    file = ModelFile.open(TestData.path("models/stories260K.gguf"));
  }

  @AfterEach
  void close() {
    file.close();
  }

  private Plan plan(Plan.Cache cache, int sequences) {
    Planner planner =
        new Planner(
            file,
            Families.spec(file),
            TinyModel.MACHINE,
            kernels.kernels(),
            new JvmShare(4096, 0, 0, 0));
    return planner.plan(
        PlanRequest.of(1L << 30, 1)
            .withContext(CONTEXT)
            .withSequences(sequences)
            .withPrefillChunk(32)
            .withCache(KvChoice.of(cache.format()).withPolicy(cache.policy())));
  }

  private Engine engine(Plan plan, Budget budget) {
    return Engine.open(
        file,
        null,
        plan,
        new Host(budget, Host.Options.of(kernels)),
        Engine.Options.usual().withReproducible(true));
  }

  private Request request(int tokens) {
    int[] prompt = new Random(tokens).ints(tokens, 3, Families.spec(file).vocabulary()).toArray();
    return Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(40).withIgnoreEnd(true);
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  /** Answers of requests with all of these caches, each of an engine whose plan has it. */
  private List<int[]> alone(int tokens) {
    List<int[]> alone = new ArrayList<>();
    for (Plan.Cache cache : CACHES) {
      Plan plan = plan(cache, CACHES.size()); // prompts are read in the same steps
      try (Engine engine = engine(plan, Budget.ofBytes(plan.bytes()))) {
        alone.add(tokens(engine.start(request(tokens))));
      }
    }
    return alone;
  }

  @Test
  void differentCachesAtOnceAnswerAsEachAlone() {
    List<int[]> alone = alone(150);
    assertThat(alone.stream().map(Arrays::toString).distinct()).hasSizeGreaterThan(2);
    Plan plan = plan(CACHES.get(2), CACHES.size());
    Budget budget = Budget.ofBytes(plan.bytes());
    try (Engine engine = engine(plan, budget)) {
      for (int round = 0; round < 2; round++) {
        List<Answer> answers =
            CACHES.stream().map(c -> engine.start(request(150).withCache(c))).toList();
        for (int i = 0; i < CACHES.size(); i++) {
          assertThat(tokens(answers.get(i))).as(CACHES.get(i).toString()).isEqualTo(alone.get(i));
        }
      }
      assertThat(budget.account("kv/prefixes").used()).isPositive();
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void beginningsAreSharedWithinACacheAlone() {
    Plan plan = plan(PLAIN, 2);
    Budget budget = Budget.ofBytes(plan.bytes());
    try (Engine engine = engine(plan, budget)) {
      Request eight = request(150).withCache(CACHES.get(2));
      for (Request request : List.of(request(150), eight)) {
        for (int expected : new int[] {0, 128}) {
          Answer answer = engine.start(request);
          tokens(answer);
          assertThat(answer.usage().cachedTokens()).isEqualTo(expected);
        }
      }
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void aSessionBeginsAnewInAnotherCache() {
    List<int[]> alone = alone(150);
    Plan plan = plan(PLAIN, CACHES.size());
    Budget budget = Budget.ofBytes(plan.bytes());
    try (Engine engine = engine(plan, budget);
        Session session = engine.session()) {
      for (int i : new int[] {0, 1, 0}) {
        assertThat(tokens(session.start(request(150).withCache(CACHES.get(i)))))
            .isEqualTo(alone.get(i));
      }
    }
    assertThat(budget.used()).isZero();
  }

  @Test
  void whatDoesNotFitIsRefusedAndLeavesNothing() {
    Plan plan = plan(PLAIN, 1);
    Budget budget = Budget.ofBytes(plan.bytes());
    try (Engine engine = engine(plan, budget);
        Session session = engine.session()) {
      Plan.Cache twice = Plan.Cache.of(KvFormat.of(Formats.F32, Formats.F32));
      assertThatThrownBy(() -> session.start(request(150).withCache(twice)))
          .isInstanceOf(BudgetExceededException.class);
      Plan.Cache norms =
          PLAIN.withPolicy(
              Recipe.of("score=critical(4) budget=uniform(18) action=evict when=prompt"));
      assertThatThrownBy(() -> engine.start(request(150).withCache(norms)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("open the model with a plan for it");
      assertThat(tokens(engine.start(request(150)))).hasSize(40);
    }
    assertThat(budget.used()).isZero();
  }
}
