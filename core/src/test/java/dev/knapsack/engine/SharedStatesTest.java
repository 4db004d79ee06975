package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Beginnings that sequences share, of models whose layers carry states. */
class SharedStatesTest {
  private static final int CONTEXT = 250;
  private static final int CHUNK = 32;
  private static final Checkpoints CHECKPOINTS = new Checkpoints(128, 6, Formats.F32);

  @TempDir private Path folder;
  private final KernelProvider.Choice kernels = KernelProvider.best();
  private final Budget budget = Budget.of("64MiB");
  private final Account kv = budget.account("kv");

  /** The most that caches of an engine could take so far. */
  private long most;

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private <T> T with(String name, int sequences, boolean shared, Function<Engine, T> use) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + name + "/model.gguf"))) {
      Planner planner =
          new Planner(
              file,
              Families.spec(file),
              TinyModel.MACHINE,
              kernels.kernels(),
              new JvmShare(4096, 0, 0, 0));
      Plan p =
          planner.plan(
              PlanRequest.of(1L << 30, 1)
                  .withContext(CONTEXT)
                  .withSequences(sequences)
                  .withPrefillChunk(CHUNK)
                  .withCache(KvChoice.of(KvFormat.F16)));
      Plan plan =
          new Plan(
              p.model(),
              p.budget(),
              p.context(),
              p.sequences(),
              p.cache().withCheckpoints(CHECKPOINTS),
              p.prefillChunk(),
              p.workers(),
              p.weights(),
              p.shares(),
              p.choices(),
              p.prediction());
      try (Engine engine =
          Engine.open(
              file,
              null,
              plan,
              new Host(budget, Host.Options.of(kernels)),
              Engine.Options.usual().withPrefixes(shared))) {
        most = Math.max(most, sequences * engine.kvLayout().bytes(CONTEXT, CHUNK));
        T result = use.apply(engine);
        assertThat(kv.peak()).isLessThanOrEqualTo(most);
        return result;
      }
    }
  }

  private static int[] tokens(int count, long seed) {
    return new SplittableRandom(seed).ints(count, 3, 300).toArray();
  }

  private static int[] join(int[] first, int[] then) {
    int[] both = Arrays.copyOf(first, first.length + then.length);
    System.arraycopy(then, 0, both, first.length, then.length);
    return both;
  }

  private static Request request(int[] prompt) {
    return Request.of(prompt)
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(6)
        .withIgnoreEnd(true)
        .withLogProbabilities(20);
  }

  /** All that was said of each token, to the bit. */
  private static List<Event> said(Answer answer) {
    try (answer) {
      return answer.events().filter(Event.Token.class::isInstance).toList();
    }
  }

  private static int[] ids(List<Event> said) {
    return said.stream().mapToInt(e -> ((Event.Token) e).id()).toArray();
  }

  /** The answer to a prompt of which so many tokens need not be computed. */
  private static List<Event> ask(Engine engine, int[] prompt, int kept) {
    Answer answer = engine.start(request(prompt));
    List<Event> said = said(answer);
    assertThat(answer.usage().cachedTokens()).isEqualTo(kept);
    return said;
  }

  private List<Event> alone(String name, int[] prompt) {
    return with(name, 1, false, engine -> ask(engine, prompt, 0));
  }

  @ParameterizedTest
  @CsvSource({"mamba2, 1", "mamba2, 3", "lfm2, 1", "lfm2, 3"})
  void aPromptReadsWhatFollowsTheLastCheckpointOfItsBeginning(String name, int sequences) {
    int[] system = tokens(200, 1);
    int[] first = join(system, tokens(35, 2));
    int[] second = join(system, tokens(40, 3));
    int[] third = join(system, tokens(44, 4));
    List<List<Event>> shared =
        with(
            name,
            sequences,
            true,
            engine ->
                List.of(
                    ask(engine, first, 0),
                    ask(engine, first, 192), // its last block's end
                    ask(engine, second, 192),
                    ask(engine, third, 192)));
    assertThat(shared)
        .isEqualTo(
            List.of(
                alone(name, first), alone(name, first), alone(name, second), alone(name, third)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"mamba2", "lfm2"})
  void whereTwoPartTheThirdGoesOn(String name) {
    int[] system = tokens(100, 1);
    List<Event> expected = alone(name, join(system, tokens(140, 4)));
    with(
        name,
        2,
        true,
        engine -> {
          ask(engine, join(system, tokens(140, 2)), 0);
          ask(engine, join(system, tokens(140, 3)), 0);
          assertThat(ask(engine, join(system, tokens(140, 4)), 64)).isEqualTo(expected);
          assertThat(ask(engine, join(system, tokens(140, 4)), 192)).isEqualTo(expected);
          return true;
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"mamba2", "lfm2"})
  void samplesReadTheirPromptOnceAndNextTimeItsEnd(String name) {
    int[] prompt = tokens(150, 5);
    List<Event> expected = alone(name, prompt);
    with(
        name,
        3,
        true,
        engine -> {
          for (int kept : new int[] {0, 128}) {
            List<Answer> samples = engine.start(request(prompt), 3);
            samples.forEach(sample -> assertThat(said(sample)).isEqualTo(expected));
            assertThat(samples).allMatch(sample -> sample.usage().cachedTokens() == kept);
          }
          return true;
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"mamba2", "lfm2"})
  void aLateTurnThatIsEditedOrRestoredReadsNoMoreThanItself(String name) {
    int[] first = tokens(100, 6);
    int[] turn = tokens(90, 7);
    int[] edit = join(Arrays.copyOf(turn, 80), tokens(8, 8));
    CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
    List<Event> edited =
        with(
            name,
            2,
            true,
            engine -> {
              try (Session session = engine.session()) {
                int[] said = join(first, ids(said(session.start(request(first)))));
                said(session.start(request(join(said, turn))));
                session.save(store, "a", CacheStore.Precision.AS_STORED);
                Answer answer = session.start(request(join(said, edit)));
                List<Event> events = said(answer);
                // A checkpoint of others lies behind the beginning of the turn.
                assertThat(answer.usage().cachedTokens()).isEqualTo(128);
                return events;
              }
            });
    int[] said = join(first, ids(alone(name, first)));
    assertThat(edited).isEqualTo(alone(name, join(said, edit)));
    with(
        name,
        2,
        true,
        engine -> {
          try (Session session = engine.session()) {
            assertThat(session.restore(store, "a")).isEqualTo(said.length + 90 + 5);
            Answer answer = session.start(request(join(said, edit)));
            assertThat(said(answer)).isEqualTo(edited);
            assertThat(answer.usage().cachedTokens()).isEqualTo(105);
          }
          return true;
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"mamba2", "lfm2"})
  void whoNeedsTheBytesGetsThemAndNobodyLosesAnAnswer(String name) {
    int[] system = tokens(150, 1);
    List<Event> expected = alone(name, join(system, tokens(50, 3)));
    with(
        name,
        2,
        true,
        engine -> {
          ask(engine, join(system, tokens(90, 2)), 0);
          long tree = budget.account("kv/prefixes").used();
          assertThat(tree).isGreaterThanOrEqualTo(2 * engine.kvLayout().checkpointBytes());
          Answer answer = engine.start(request(join(system, tokens(50, 3))));
          try (Lease rest = budget.account("other").reserve(budget.free() + 1)) {
            assertThat(rest.bytes()).isPositive();
          } catch (BudgetExceededException refused) {
            // The answer goes on from all that the tree has.
            assertThat(refused).hasMessageContaining("1 missing");
          }
          assertThat(said(answer)).isEqualTo(expected);
          try (Lease rest = budget.account("other").reserve(budget.free() + kv.used())) {
            assertThat(rest.bytes()).isPositive();
            assertThat(kv.used()).isZero();
          }
          assertThat(ask(engine, join(system, tokens(50, 3)), 0)).isEqualTo(expected);
          return true;
        });
  }

  @ParameterizedTest
  @CsvSource({
    "mamba2, 1",
    "mamba2, 2",
    "lfm2, 3",
    "lfm2, 4",
    "qwen35, 5",
    "kimi-linear, 6",
    "deepseek2_v3, 7"
  })
  void anyUseGivesTheSameAnswers(String name, long seed) {
    Function<Engine, List<int[]>> use =
        engine -> {
          SplittableRandom random = new SplittableRandom(seed);
          List<int[]> all = new ArrayList<>();
          List<Answer> live = new ArrayList<>();
          try (Session session = engine.session()) {
            for (int i = 0; i < 25; i++) {
              int[] begin = tokens(random.nextInt(1, 5) * 40, 1);
              Request request =
                  request(join(begin, tokens(random.nextInt(1, 60), random.nextInt(3))))
                      .withSampling(Sampling.GREEDY.withSeed(i));
              switch (random.nextInt(5)) {
                case 0 -> live.addAll(engine.start(request, 2));
                case 1 ->
                    live.add(
                        engine.start(
                            request
                                .withMaxTokens(CONTEXT - request.prompt().length + 20)
                                .withOverflow(new Overflow.Shift(random.nextInt(99)))));
                case 2 -> all.add(ids(said(session.start(request))));
                case 3 -> engine.start(request).close();
                default -> live.add(engine.start(request));
              }
              while (live.size() > random.nextInt(3)) {
                all.add(ids(said(live.remove(random.nextInt(live.size())))));
              }
            }
            live.forEach(a -> all.add(ids(said(a))));
          }
          return all;
        };
    List<int[]> alone = with(name, 3, false, use);
    List<int[]> shared = with(name, 3, true, use);
    assertThat(shared).hasSizeGreaterThan(20);
    assertThat(shared.toArray(int[][]::new)).isDeepEqualTo(alone.toArray(int[][]::new));
  }
}
