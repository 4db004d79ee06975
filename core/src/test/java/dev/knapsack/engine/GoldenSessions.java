package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
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
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Consumer;

/**
 * Turns of sessions of golden and other models, in engines that take exactly what their plan says.
 */
final class GoldenSessions {
  private GoldenSessions() {}

  /** Uses an engine with room for three sequences, which gives all back and keeps to its plan. */
  static void with(String model, boolean prefixes, Consumer<Engine> use) {
    with(TestData.path("golden/" + model + "/model.gguf"), prefixes, use);
  }

  /** The same with a model of 300 tokens or more. */
  static void with(Path model, boolean prefixes, Consumer<Engine> use) {
    KernelProvider.Choice kernels = KernelProvider.best();
    try (ModelFile file = ModelFile.open(model)) {
      Plan plan = plan(file, kernels);
      Budget budget = Budget.ofBytes(plan.bytes());
      try (Engine engine =
          Engine.open(
              file,
              null,
              plan,
              new Host(budget, Host.Options.of(kernels)),
              Engine.Options.usual().withPrefixes(prefixes))) {
        use.accept(engine);
        assertThat(budget.account("kv").peak())
            .isLessThanOrEqualTo(
                plan.shares().stream()
                    .filter(s -> s.account().equals("kv"))
                    .mapToLong(Plan.Share::bytes)
                    .sum());
      }
      assertThat(budget.used()).isZero();
    }
  }

  private static Plan plan(ModelFile file, KernelProvider.Choice kernels) {
    Planner planner =
        new Planner(
            file,
            Families.spec(file),
            TinyModel.MACHINE,
            kernels.kernels(),
            new JvmShare(4096, 0, 0, 0));
    return planner.plan(
        PlanRequest.of(1L << 30, 1)
            .withContext(250)
            .withSequences(3)
            .withPrefillChunk(32)
            .withCache(KvChoice.of(KvFormat.F16)));
  }

  static Request request(int[] prompt) {
    return Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(10).withIgnoreEnd(true);
  }

  static int[] tokens(int count, long seed) {
    return new Random(seed).ints(count, 3, 300).toArray();
  }

  static int[] join(int[] first, int[] then) {
    int[] both = Arrays.copyOf(first, first.length + then.length);
    System.arraycopy(then, 0, both, first.length, then.length);
    return both;
  }

  static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  /** What a session says to a prompt of which it has kept so many tokens: as if it had none. */
  static int[] say(Engine engine, Session session, int[] prompt, int kept) {
    Answer answer = session.start(request(prompt));
    int[] said = tokens(answer);
    assertThat(answer.usage().cachedTokens()).isEqualTo(kept);
    assertThat(said).isEqualTo(tokens(engine.start(request(prompt))));
    return said;
  }
}
