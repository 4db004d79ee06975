package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.store.CacheStore;
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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sessions of a model whose cached keys hold their values: as those of any other. */
class LatentSessionTest {
  @TempDir private Path folder;
  private final KernelProvider.Choice kernels = KernelProvider.best();

  private void with(boolean prefixes, Consumer<Engine> use) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/deepseek2_mla/model.gguf"))) {
      Planner planner =
          new Planner(
              file,
              Families.spec(file),
              TinyModel.MACHINE,
              kernels.kernels(),
              new JvmShare(4096, 0, 0, 0));
      Plan plan =
          planner.plan(
              PlanRequest.of(1L << 30, 1)
                  .withContext(250)
                  .withSequences(3)
                  .withPrefillChunk(32)
                  .withCache(KvChoice.of(KvFormat.F16)));
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

  private static Request request(int[] prompt) {
    return Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(10).withIgnoreEnd(true);
  }

  private static int[] tokens(int count, long seed) {
    return new Random(seed).ints(count, 3, 300).toArray();
  }

  private static int[] join(int[] first, int[] then) {
    int[] both = Arrays.copyOf(first, first.length + then.length);
    System.arraycopy(then, 0, both, first.length, then.length);
    return both;
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  /** What a session says to a prompt of which it has kept so many tokens: as if it had none. */
  private static int[] say(Engine engine, Session session, int[] prompt, int kept) {
    Answer answer = session.start(request(prompt));
    int[] said = tokens(answer);
    assertThat(answer.usage().cachedTokens()).isEqualTo(kept);
    assertThat(said).isEqualTo(tokens(engine.start(request(prompt))));
    return said;
  }

  @Test
  void turnsGoOnAreEditedSavedAndRestored() {
    with(
        false,
        engine -> {
          try (Session session = engine.session();
              Session other = engine.session()) {
            int[] first = tokens(100, 1);
            int[] turn = join(first, say(engine, session, first, 0));
            int end = turn.length - 1; // the last token has been chosen and not read
            say(engine, session, join(turn, tokens(20, 2)), end);
            say(engine, session, join(turn, tokens(15, 3)), turn.length);
            say(engine, session, join(Arrays.copyOf(turn, 77), tokens(15, 4)), 77);

            CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
            session.save(store, "a", CacheStore.Precision.AS_STORED);
            int kept = other.restore(store, "a");
            assertThat(kept).isEqualTo(session.cachedTokens()).isGreaterThan(90);
            say(engine, other, join(Arrays.copyOf(turn, 77), tokens(3, 5)), 77);
            for (Answer sample : engine.start(request(first), 3)) {
              assertThat(join(first, tokens(sample))).isEqualTo(turn);
            }
          }
        });
  }

  @Test
  void requestsShareWhatTheyBeginWith() {
    with(
        true,
        engine -> {
          int[] first = tokens(150, 6);
          int[] said = tokens(engine.start(request(first)));
          Answer again = engine.start(request(first));
          assertThat(tokens(again)).isEqualTo(said);
          assertThat(again.usage().cachedTokens()).isEqualTo(128);
        });
  }
}
