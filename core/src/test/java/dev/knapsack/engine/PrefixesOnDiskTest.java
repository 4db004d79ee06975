package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.engine.Engine.Options.PrefixPlace;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Engines that find the beginnings of prompts in a folder. */
class PrefixesOnDiskTest {
  private static final int CONTEXT = 250;
  private static final int CHUNK = 32;
  private static final Checkpoints CHECKPOINTS = new Checkpoints(128, 6, Formats.F32);

  @TempDir Path folder;
  private final KernelProvider.Choice kernels = KernelProvider.best();
  private final Budget budget = Budget.of("64MiB");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private <T> T with(
      String name,
      KvFormat format,
      int sequences,
      UnaryOperator<Engine.Options> options,
      Function<Engine, T> use) {
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + name + "/model.gguf"))) {
      Planner planner =
          new Planner(
              file,
              Families.spec(file, CONTEXT),
              TinyModel.MACHINE,
              kernels.kernels(),
              new JvmShare(4096, 0, 0, 0));
      Plan p =
          planner.plan(
              PlanRequest.of(1L << 30, 1)
                  .withContext(CONTEXT)
                  .withSequences(sequences)
                  .withPrefillChunk(CHUNK)
                  .withCache(KvChoice.of(format)));
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
              options.apply(Engine.Options.usual()))) {
        return use.apply(engine);
      }
    }
  }

  private <T> T stored(String name, KvFormat format, int sequences, Function<Engine, T> use) {
    return with(name, format, sequences, this::onDisk, use);
  }

  private Engine.Options onDisk(Engine.Options options) {
    return options.withPrefixStore(new PrefixPlace(folder, 1L << 30));
  }

  private static int[] tokens(int count, long seed) {
    return new SplittableRandom(seed).ints(count, 3, 200).toArray();
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

  private static List<Event> ask(Engine engine, Request request, int kept) {
    Answer answer = engine.start(request);
    List<Event> said = said(answer);
    assertThat(answer.usage().cachedTokens()).isEqualTo(kept);
    return said;
  }

  @ParameterizedTest
  @CsvSource({
    "llama_f16, f16, 1",
    "llama_f16, q8_0, 1",
    "llama_f16, q4_0, 1",
    "mamba2, f16, 1",
    "lfm2, f16, 1",
    "qwen35, f16, 1",
    "falcon-h1, f16, 1",
    "gemma3, f16, 2",
    "deepseek2_v3, f16, 1"
  })
  void afterARestartAPromptIsReadFromTheFolder(String name, String format, int sequences) {
    KvFormat kv = KvFormat.parse(format);
    int[] system = tokens(192, 1);
    int[] first = join(system, tokens(30, 2));
    int[] second = join(system, tokens(44, 3));
    Function<Engine, List<Event>> alone = engine -> ask(engine, request(second), 0);
    List<Event> expected = with(name, kv, sequences, o -> o.withPrefixes(false), alone);
    stored(name, kv, sequences, engine -> ask(engine, request(first), 0));
    PrefixCounts counts =
        stored(
            name,
            kv,
            sequences,
            engine -> {
              assertThat(ask(engine, request(second), 192)).isEqualTo(expected);
              return engine.prefixes();
            });
    assertThat(counts.read()).isEqualTo(3);
    assertThat(counts.tokensFound()).isEqualTo(192);
    assertThat(counts.diskBytes()).isPositive();
    assertThat(counts.stopped()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"llama_f16", "lfm2", "mamba2"})
  void whatMemoryGivesUpIsFoundAgain(String name) {
    stored(
        name,
        KvFormat.F16,
        2,
        engine -> {
          int[] prompt = tokens(200, 1);
          List<Event> expected = ask(engine, request(prompt), 0);
          while (engine.prefixes().written() < 3) {
            Thread.onSpinWait();
          }
          try (Lease all =
              budget.account("other").reserve(budget.free() + engine.prefixes().bytes())) {
            assertThat(all.bytes()).isPositive();
            assertThat(engine.prefixes().blocks()).isZero();
          }
          assertThat(ask(engine, request(prompt), 192)).isEqualTo(expected);
          return true;
        });
  }

  @Test
  void whoBeginTogetherReadItOnce() {
    int[] system = tokens(192, 1);
    stored(
        "llama_f16",
        KvFormat.F16,
        4,
        engine -> ask(engine, request(join(system, tokens(9, 2))), 0));
    long read =
        stored(
            "llama_f16",
            KvFormat.F16,
            4,
            engine -> {
              List<Answer> answers =
                  engine
                      .loop()
                      .ask(() -> {
                        List<Answer> all = new ArrayList<>();
                        for (int i = 0; i < 4; i++) {
                          all.add(engine.start(request(join(system, tokens(9, 3 + i)))));
                        }
                        return all;
                      });
              answers.forEach(answer -> {
                said(answer);
                assertThat(answer.usage().cachedTokens()).isEqualTo(192);
              });
              return engine.prefixes().read();
            });
    assertThat(read).isEqualTo(3);
  }

  @Test
  void tenantsFindTheirOwnAloneUnlessTheyShare() {
    Request request = request(tokens(150, 1));
    for (boolean shared : new boolean[] {false, true}) {
      UnaryOperator<Engine.Options> options = o -> onDisk(o).withSharedPrefixes(shared);
      int others = shared ? 128 : 0;
      for (int round = 0; round < 2; round++) {
        int own = round == 0 && !shared ? 0 : 128;
        with(
            "llama_f16",
            KvFormat.F16,
            1,
            options,
            engine -> {
              ask(engine, request.withTenant("a"), own);
              ask(engine, request.withTenant("b"), Math.max(own, others));
              ask(engine, request.withTenant("a"), 128);
              return true;
            });
        if (!shared && round == 0) {
          with("llama_f16", KvFormat.F16, 1, options, e -> ask(e, request.withTenant("c"), 0));
          with("llama_f16", KvFormat.F16, 1, options, e -> ask(e, request, 0));
        }
      }
    }
  }

  @Test
  void answersWithASeedAreTheSameToTheBit() {
    Request request =
        request(tokens(200, 1)).withSampling(Sampling.GREEDY.withTemperature(1).withSeed(7));
    List<Event> expected =
        with("llama_f16", KvFormat.F16, 2, o -> o.withPrefixes(false), e -> ask(e, request, 0));
    stored("llama_f16", KvFormat.F16, 2, e -> ask(e, request.withSampling(Sampling.GREEDY), 0));
    stored("llama_f16", KvFormat.F16, 2, e -> ask(e, request, 0));
    List<Event> found = stored("llama_f16", KvFormat.F16, 2, e -> ask(e, request, 192));
    assertThat(found).isEqualTo(expected);
  }

  @Test
  void aFolderThatCannotBeWrittenEndsNoAnswer() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    PrefixPlace place = new PrefixPlace(file.resolve("below"), 1L << 30);
    with(
        "llama_f16",
        KvFormat.F16,
        1,
        options -> options.withPrefixStore(place),
        engine -> {
          ask(engine, request(tokens(150, 1)), 0);
          ask(engine, request(tokens(150, 1)), 128);
          while (engine.prefixes().stopped().isEmpty()) {
            Thread.onSpinWait();
          }
          assertThat(engine.prefixes().stopped().orElseThrow())
              .startsWith("Prefixes are no longer written to " + file.resolve("below") + ": ");
          return true;
        });
  }

  @Test
  void whatASessionWasRestoredFromIsNotFoundByOthers() {
    CacheStore store = new CacheStore(folder.resolve("sessions"), CacheStore.USUAL_BYTES);
    int[] prompt = tokens(150, 1);
    stored(
        "llama_f16",
        KvFormat.F16,
        2,
        engine -> {
          try (Session session = engine.session()) {
            said(session.start(request(prompt).withTenant("a")));
            return session.save(store, "four-bit");
          }
        });
    stored(
        "llama_f16",
        KvFormat.F16,
        2,
        engine -> {
          try (Session session = engine.session()) {
            assertThat(session.restore(store, "four-bit")).isEqualTo(155);
            Answer answer = session.start(request(join(prompt, tokens(9, 2))));
            said(answer);
            assertThat(answer.usage().cachedTokens()).isEqualTo(150);
          }
          ask(engine, request(prompt), 0);
          ask(engine, request(prompt), 128);
          return true;
        });
  }

  @Test
  void anotherModelFindsNothing() {
    int[] prompt = tokens(150, 1);
    stored("llama_f16", KvFormat.F16, 1, engine -> ask(engine, request(prompt), 0));
    stored("lfm2", KvFormat.F16, 1, engine -> ask(engine, request(prompt), 0));
    stored("llama_f16", KvFormat.parse("q8_0"), 1, engine -> ask(engine, request(prompt), 0));
    stored("llama_f16", KvFormat.F16, 1, engine -> ask(engine, request(prompt), 128));
  }
}
