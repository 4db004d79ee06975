package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Overflow;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.memory.Lease;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sequences that begin with the same tokens. */
class PrefixCacheTest {
  private static final int CHUNK = 64;

  @TempDir static Path folder;
  private final Budget budget = Budget.of("512MiB");
  private final Account kv = budget.account("kv");
  private final Account prefixes = budget.account("kv/prefixes");

  @AfterEach
  void everyByteIsGivenBack() {
    assertThat(budget.used()).isZero();
  }

  private <T> T with(int sequences, int context, boolean shared, Function<Engine, T> use) {
    Plan plan = TinyModel.plan(sequences, CHUNK, TinyModel.RESIDENT);
    plan =
        new Plan(
            plan.model(),
            plan.budget(),
            context,
            sequences,
            Plan.Cache.of(KvFormat.F16),
            CHUNK,
            1,
            plan.weights(),
            plan.shares(),
            plan.choices(),
            plan.prediction());
    try (ModelFile file = ModelFile.open(TinyModel.dense(folder, Formats.F16));
        Engine engine =
            Engine.open(
                file, null, plan, new Host(budget), Engine.Options.usual().withPrefixes(shared))) {
      return use.apply(engine);
    }
  }

  /** {@code common} tokens that are the same for all, and {@code own} that are not. */
  private static Request request(int common, int own, int number, int tokens) {
    int[] prompt =
        IntStream.range(0, common + own)
            .map(i -> i < common ? i * 37 % 200 : (i * 41 + number * 13) % 200)
            .toArray();
    return Request.of(prompt)
        .withSampling(Sampling.GREEDY)
        .withMaxTokens(tokens)
        .withIgnoreEnd(true);
  }

  /** Answers that begin between two steps, and the bytes of all caches before the first. */
  private record Started(List<Answer> answers, long bytes) {}

  private Started atOnce(Engine engine, List<Request> requests) {
    return engine
        .loop()
        .ask(() -> new Started(requests.stream().map(engine::start).toList(), kv.used()));
  }

  private static int[] tokens(Answer answer) {
    try (answer) {
      answer.text();
      return answer.tokens();
    }
  }

  @Test
  void fiftySequencesPayOnceForWhatTheyBeginWith() {
    int sequences = 50;
    int prompt = 600;
    int context = 640;
    List<Request> requests =
        IntStream.range(0, sequences).mapToObj(i -> request(prompt, 20, i, 12)).toList();
    long base = kv.used();
    List<int[]> alone = new ArrayList<>();
    long separate =
        with(
            sequences,
            context,
            false,
            engine -> {
              Started started = atOnce(engine, requests);
              List<Answer> answers = started.answers;
              long bytes = started.bytes;
              for (int i = 0; i < sequences; i += 10) {
                alone.add(tokens(answers.get(i)));
              }
              answers.forEach(Answer::close);
              assertThat(prefixes.peak()).isZero();
              return bytes;
            });
    long together =
        with(
            sequences,
            context,
            true,
            engine -> {
              tokens(engine.start(request(prompt, 1, 99, 1)));
              long tree = prefixes.used();
              assertThat(tree).isPositive();
              Started started = atOnce(engine, requests);
              List<Answer> answers = started.answers;
              long bytes = started.bytes;
              assertThat(prefixes.used()).isEqualTo(tree);
              List<int[]> all = new ArrayList<>();
              for (Answer answer : answers) {
                assertThat(answer.usage().cachedTokens()).isEqualTo(prompt / 64 * 64);
                all.add(tokens(answer));
                assertThat(kv.used()).isLessThanOrEqualTo(bytes);
              }
              for (int i = 0; i < sequences; i += 10) {
                assertThat(all.get(i)).isEqualTo(alone.get(i / 10));
              }
              assertThat(prefixes.used()).isEqualTo(tree);
              assertThat(kv.own()).isLessThan(4096);
              // Whoever needs the bytes gets them, and the next prompt is computed again.
              try (Lease rest = budget.account("other").reserve(budget.free() + tree)) {
                assertThat(rest.bytes()).isPositive();
              }
              try (Lease rest = budget.account("other").reserve(budget.free() + kv.used())) {
                assertThat(rest.bytes()).isPositive();
                assertThat(kv.used()).isEqualTo(base);
              }
              Answer again = engine.start(requests.getFirst());
              assertThat(again.usage().cachedTokens()).isZero();
              assertThat(tokens(again)).isEqualTo(alone.getFirst());
              return bytes;
            });
    long page = 7L * 2 * 64 * 32 * 2;
    assertThat(separate).isEqualTo(50 * 10 * page);
    assertThat(together).isEqualTo((9 + 50) * page);
    assertThat(kv.used()).isEqualTo(base);
  }

  @Test
  void whoBeginsAtTheSameTimeComputesItOnce() throws Exception {
    int sequences = 8;
    List<int[]> alone =
        with(
            1,
            512,
            false,
            engine ->
                IntStream.range(0, sequences)
                    .mapToObj(i -> tokens(engine.start(request(300, 5, i, 9))))
                    .toList());
    int cached =
        with(
            sequences,
            512,
            true,
            engine -> {
              List<Answer> answers =
                  atOnce(
                          engine,
                          IntStream.range(0, sequences)
                              .mapToObj(i -> request(300, 5, i, 9))
                              .toList())
                      .answers;
              try (ExecutorService threads = Executors.newFixedThreadPool(sequences)) {
                List<CompletableFuture<int[]>> all =
                    answers.stream()
                        .map(a -> CompletableFuture.supplyAsync(() -> tokens(a), threads))
                        .toList();
                for (int i = 0; i < sequences; i++) {
                  assertThat(all.get(i).join()).isEqualTo(alone.get(i));
                }
              }
              return answers.stream().mapToInt(a -> a.usage().cachedTokens()).sum();
            });
    assertThat(cached).isBetween(5 * 256, 7 * 256);
  }

  @Test
  void aPromptThatPartsInsideABlockSharesTheBlocksBefore() {
    Function<Engine, List<int[]>> use =
        engine ->
            IntStream.of(200, 100, 64, 63, 130, 200)
                .mapToObj(common -> {
                  Answer answer = engine.start(request(common, 40, common, 9));
                  return tokens(answer);
                })
                .toList();
    List<int[]> alone = with(2, 256, false, use);
    List<int[]> shared = with(2, 256, true, use);
    assertThat(shared.toArray(int[][]::new)).isDeepEqualTo(alone.toArray(int[][]::new));
    int again =
        with(
            2,
            256,
            true,
            engine -> {
              tokens(engine.start(request(200, 40, 1, 9)));
              Answer answer = engine.start(request(100, 40, 2, 9));
              int cached = answer.usage().cachedTokens();
              answer.close();
              return cached;
            });
    assertThat(again).isEqualTo(64);
  }

  @Test
  void aSessionGoesOnFromWhatOthersHaveComputed() {
    with(
        2,
        256,
        true,
        engine -> {
          tokens(engine.start(request(200, 1, 1, 5)));
          try (Session session = engine.session()) {
            Answer first = session.start(request(200, 30, 2, 5));
            assertThat(first.usage().cachedTokens()).isEqualTo(192);
            int[] expected = tokens(first);
            Answer same = session.start(request(200, 30, 2, 5));
            assertThat(same.usage().cachedTokens()).isEqualTo(229);
            assertThat(tokens(same)).isEqualTo(expected);
            Answer other = session.start(request(70, 30, 2, 5));
            assertThat(other.usage().cachedTokens()).isEqualTo(64);
            tokens(other);
            Answer back = session.start(request(200, 30, 2, 5));
            assertThat(tokens(back)).isEqualTo(expected);
            assertThat(back.usage().cachedTokens()).isEqualTo(192);
          }
          return true;
        });
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void anyUseGivesTheSameAnswers(long seed) {
    int sequences = 3;
    int context = 256;
    Function<Engine, List<int[]>> use =
        engine -> {
          SplittableRandom random = new SplittableRandom(seed);
          List<int[]> all = new ArrayList<>();
          List<Answer> live = new ArrayList<>();
          try (Session session = engine.session()) {
            for (int i = 0; i < 25; i++) {
              Request request =
                  request(random.nextInt(1, 4) * 50, random.nextInt(1, 40), random.nextInt(3), 20);
              switch (random.nextInt(5)) {
                case 0 -> live.addAll(engine.start(request, 2));
                case 1 -> {
                  int keep = random.nextInt(100);
                  live.add(
                      engine.start(
                          request
                              .withMaxTokens(context - request.prompt().length + 30)
                              .withOverflow(new Overflow.Shift(keep))));
                }
                case 2 -> all.add(tokens(session.start(request)));
                case 3 -> engine.start(request).close();
                default -> live.add(engine.start(request));
              }
              while (live.size() > random.nextInt(3)) {
                all.add(tokens(live.remove(random.nextInt(live.size()))));
              }
              if (random.nextInt(6) == 0) {
                try (Lease rest = budget.account("other").reserve(budget.free() + 1)) {
                  assertThat(rest.bytes()).isPositive();
                } catch (BudgetExceededException nothingToGive) {
                  assertThat(prefixes.used()).isZero();
                }
              }
            }
            live.forEach(a -> all.add(tokens(a)));
          }
          long page = 7L * 2 * 64 * 32 * 2;
          assertThat(kv.peak()).isLessThanOrEqualTo(sequences * 4 * page);
          return all;
        };
    List<int[]> alone = with(sequences, context, false, use);
    List<int[]> shared = with(sequences, context, true, use);
    assertThat(shared.toArray(int[][]::new)).isDeepEqualTo(alone.toArray(int[][]::new));
    assertThat(shared).hasSizeGreaterThan(20);
  }
}
