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
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sessions of models whose layers carry states: all that a session does equals computing anew. */
class RecurrentSessionTest {
  @TempDir private Path folder;
  private final KernelProvider.Choice kernels = KernelProvider.best();

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

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mamba2",
        "lfm2",
        "falcon-h1",
        "mamba",
        "jamba",
        "nemotron_h",
        "plamo2",
        "rwkv7",
        "arwkv7"
      })
  void turnsGoOnAreEditedSavedAndRestored(String name) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + name + "/model.gguf"))) {
      Plan plan = plan(file, kernels);
      Budget budget = Budget.ofBytes(plan.bytes());
      try (Engine engine =
              Engine.open(
                  file,
                  null,
                  plan,
                  new Host(budget, Host.Options.of(kernels)),
                  Engine.Options.usual());
          Session session = engine.session();
          Session other = engine.session()) {
        int[] first = tokens(100, 1);
        int[] turn = join(first, say(engine, session, first, 0));
        int end = turn.length - 1; // the last token has been chosen and not read
        int[] second = join(turn, tokens(20, 2));
        say(engine, session, second, end);
        // The last turn is edited twice, and then written again.
        say(engine, session, join(turn, tokens(15, 3)), end);
        int[] edited = join(turn, tokens(18, 4));
        int[] long2 = join(edited, say(engine, session, edited, end));
        say(engine, session, edited, end);
        // The first answer was another one after all: that turn is no longer among the last two,
        // but
        // a block of its prompt has ended before.
        say(engine, session, join(first, tokens(12, 5)), 64);
        say(engine, session, long2, 128);

        CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
        session.save(store, "a", CacheStore.Precision.AS_STORED);
        int kept = other.restore(store, "a");
        assertThat(kept).isEqualTo(session.cachedTokens());
        int[] all = join(long2, tokens(engine.start(request(long2))));
        say(engine, other, join(all, tokens(9, 6)), kept);

        List<Answer> samples = engine.start(request(first), 3);
        for (Answer sample : samples) {
          assertThat(join(first, tokens(sample))).isEqualTo(turn);
        }
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
}
