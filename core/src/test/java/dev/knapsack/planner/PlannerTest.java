package dev.knapsack.planner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Block;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.Norms;
import dev.knapsack.model.StateSpace;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PlannerTest {
  private static final long MIB = 1 << 20;
  private static final long PAGE = 4096;

  /** A laptop: 20 GB/s of memory, 1.5 GB/s of disk. */
  private static final Machine MACHINE =
      new Machine(
          "laptop",
          "vector",
          4,
          20e9,
          1.5e9,
          new Machine.Rates(15e9, 50e9),
          Map.of(
              "Q4_0", new Machine.Rates(25e9, 80e9),
              "Q4_K", new Machine.Rates(20e9, 60e9),
              "Q6_K", new Machine.Rates(15e9, 50e9)));

  private static final JvmShare JVM = new JvmShare(60 * MIB, 20 * MIB, 16 * MIB, 4 * MIB);

  private static final Kernels KERNELS = KernelProvider.SCALAR.open().kernels();

  private static final Recipe STREAMING = Recipe.streaming(4, 1020);

  private static Planner planner(ShapeFile file) {
    return new Planner(file, file.spec(), MACHINE, KERNELS, JVM);
  }

  private static PlanRequest request(long budget) {
    return PlanRequest.of(budget, 4);
  }

  private static long sum(Plan plan) {
    return plan.shares().stream().mapToLong(Plan.Share::bytes).sum();
  }

  private static long share(Plan plan, String account) {
    return plan.shares().stream()
        .filter(s -> s.account().equals(account))
        .mapToLong(Plan.Share::bytes)
        .sum();
  }

  @Test
  void lessMemoryIsSlowerAndStillFits() {
    Planner planner = planner(ShapeFile.llama1b());
    double before = Double.POSITIVE_INFINITY;
    int streamedBefore = 0;
    for (long mib : new long[] {3072, 1024, 768, 512, 384}) {
      Plan plan = planner.plan(request(mib * MIB).withContext(2048));
      assertThat(sum(plan)).isEqualTo(plan.bytes()).isLessThanOrEqualTo(mib * MIB);
      double rate = plan.prediction().decodeTokensPerSecond();
      assertThat(rate).as("rate at %d MiB", mib).isLessThanOrEqualTo(before).isPositive();
      assertThat(plan.weights().streamedLayers().size()).isGreaterThanOrEqualTo(streamedBefore);
      assertThat(plan.cache().format().keys().name()).isEqualTo("F16");
      assertThat(plan.context()).isEqualTo(2048);
      before = rate;
      streamedBefore = plan.weights().streamedLayers().size();
    }
    assertThat(streamedBefore).isEqualTo(16);
  }

  @Test
  void nothingIsStreamedWhereEverythingFits() {
    ShapeFile file = ShapeFile.llama1b();
    Plan plan = planner(file).plan(request(3072 * MIB));
    assertThat(plan.weights().streamedLayers()).isEmpty();
    assertThat(plan.weights().outputStreamed()).isFalse();
    assertThat(plan.weights().streamBuffer()).isZero();
    assertThat(plan.weights().expertCache()).isEqualTo(-1);
    assertThat(plan.context()).isEqualTo(PlanRequest.USUAL_CONTEXT);
    assertThat(plan.prefillChunk()).isGreaterThanOrEqualTo(128);
    long tensors = file.tensors().values().stream().mapToLong(t -> t.bytes()).sum();
    assertThat(share(plan, "weights")).isBetween(tensors, tensors + 16 * 8 * PAGE);
    // 16 layers of 8 heads of 64 numbers of 2 bytes, keys and values
    assertThat(share(plan, "kv")).isEqualTo(4096L * 16 * 8 * 64 * 2 * 2);
    // memory-bound: the weights once, at 20 GB/s
    assertThat(plan.prediction().decodeTokensPerSecond())
        .isBetween(0.6 * 20e9 / tensors, 20e9 / tensors);
  }

  @Test
  void streamedWeightsComeNoFasterThanTheDisk() {
    Plan plan = planner(ShapeFile.llama1b()).plan(request(512 * MIB).withContext(1024));
    assertThat(plan.weights().streamedLayers()).isNotEmpty();
    long layer = plan.weights().streamBuffer();
    double seconds = plan.weights().streamedLayers().size() * layer * 0.95 / 1.5e9;
    assertThat(1 / plan.prediction().decodeTokensPerSecond()).isGreaterThan(seconds);
    assertThat(share(plan, "weights/stream")).isBetween(2 * layer, 2 * layer + 2 * PAGE);
  }

  @Test
  void spreadsStreamedLayersEvenly() {
    assertThat(Planner.spread(0, 16)).isEmpty();
    assertThat(Planner.spread(4, 16)).containsExactly(3, 7, 11, 15);
    assertThat(Planner.spread(16, 16)).hasSize(16);
    for (int count = 1; count <= 31; count++) {
      List<Integer> layers = Planner.spread(count, 31);
      assertThat(layers).hasSize(count);
      for (int i = 1; i < count; i++) {
        assertThat(layers.get(i) - layers.get(i - 1)).isBetween(31 / count, 31 / count + 1);
      }
    }
  }

  @Test
  void expertsAreKeptByUseWhereTheyDoNotFit() {
    Planner planner = planner(ShapeFile.mixtral());
    Plan large = planner.plan(request(32768 * MIB).withContext(4096));
    assertThat(large.weights().expertCache()).isEqualTo(-1);
    assertThat(large.weights().streamedLayers()).isEmpty();
    Plan small = planner.plan(request(8192 * MIB).withContext(4096));
    assertThat(small.weights().expertCache()).isPositive();
    assertThat(share(small, "weights/experts")).isEqualTo(small.weights().expertCache());
    assertThat(sum(small)).isBetween(7900 * MIB, 8192 * MIB);
    assertThat(small.prediction().decodeTokensPerSecond())
        .isLessThan(large.prediction().decodeTokensPerSecond());
  }

  @ParameterizedTest
  @CsvSource({"1, false", "3, false", "1, true", "3, true"})
  void whatDoesNotFitSaysWhatWould(int sequences, boolean inMemory) {
    Planner planner = planner(ShapeFile.llama1b());
    KvChoice cache = inMemory ? KvChoice.USUAL.withResident(0) : KvChoice.USUAL;
    PlanRequest small =
        request(190 * MIB).withContext(16_384).withSequences(sequences).withCache(cache);
    PlanDoesNotFitException e =
        catchThrowableOfType(PlanDoesNotFitException.class, () -> planner.plan(small));
    assertThat(e.missing()).isEqualTo(e.leastBudget() - 190 * MIB).isPositive();
    assertThat(e).hasMessageContaining("%,d".formatted(e.leastBudget()));

    PlanRequest least = small.withBudget(e.leastBudget());
    assertThat(sum(planner.plan(least))).isEqualTo(e.leastBudget());
    PlanRequest less = small.withBudget(e.leastBudget() - PAGE);
    assertThatThrownBy(() -> planner.plan(less)).isInstanceOf(PlanDoesNotFitException.class);

    assertThat(e.largestContext()).isBetween(1, 16_383);
    Plan shorter = planner.plan(small.withContext(e.largestContext()));
    assertThat(shorter.context()).isEqualTo(e.largestContext());
    assertThatThrownBy(() -> planner.plan(small.withContext(e.largestContext() + 1)))
        .isInstanceOf(PlanDoesNotFitException.class);
  }

  /** Another start's JVM may hold more than the one that gave the advice. */
  @Test
  void theAdvisedBudgetDoesAtEveryStart() {
    ShapeFile file = ShapeFile.llama1b();
    PlanDoesNotFitException e =
        catchThrowableOfType(
            PlanDoesNotFitException.class, () -> planner(file).plan(request(100 * MIB)));
    Matcher advice = Pattern.compile("--memory (\\d+)MiB").matcher(String.valueOf(e.getMessage()));
    assertThat(advice.find()).isTrue();
    long advised = Long.parseLong(advice.group(1)) * MIB;
    JvmShare larger =
        new JvmShare(JVM.resident() + JvmShare.VARIES, JVM.heap(), JVM.code(), JVM.other());
    Planner later = new Planner(file, file.spec(), MACHINE, KERNELS, larger);
    assertThat(sum(later.plan(request(advised)))).isLessThanOrEqualTo(advised);
  }

  @Test
  void aBudgetBelowTheJvmFitsNoContext() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanDoesNotFitException e =
        catchThrowableOfType(PlanDoesNotFitException.class, () -> planner.plan(request(100 * MIB)));
    assertThat(e.largestContext()).isZero();
    assertThat(e).hasMessageContaining("no context");
  }

  @Test
  void fewerBitsForTheCacheOnlyWhereF16DoesNotFit() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanDoesNotFitException f16 =
        catchThrowableOfType(
            PlanDoesNotFitException.class,
            () ->
                planner.plan(
                    request(300 * MIB)
                        .withContext(32_768)
                        .withCache(KvChoice.of(Formats.F16).withResident(0))));
    Plan just = planner.plan(request(f16.leastBudget()).withContext(32_768));
    assertThat(just.cache().format().keys().name()).isEqualTo("F16");
    Plan less = planner.plan(request(f16.leastBudget() - PAGE).withContext(32_768));
    assertThat(less.cache().format().keys().name()).isEqualTo("Q8_0");
    assertThat(less.choices())
        .filteredOn(c -> c.component().equals("kv"))
        .singleElement()
        .satisfies(c ->
            assertThat(c.alternatives())
                .filteredOn(a -> a.name().equals("F16"))
                .singleElement()
                .satisfies(a -> assertThat(a.cost()).contains("does not fit")));
  }

  @Test
  void autoTakesFewerBitsRatherThanReadWeightsAgain() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanRequest usual = request(8192 * MIB).withContext(16_384).withPrefillChunk(64);
    PlanRequest auto = usual.withCache(KvChoice.AUTO.withPolicy(KvPolicy.FULL));
    long bytes = planner.plan(auto).bytes();
    assertThat(planner.plan(auto).cache().format()).isEqualTo(KvFormat.F16);
    // Down the ladder, each step as soon as the one before no longer fits beside the weights.
    for (KvFormat next : KvChoice.LADDER.subList(1, KvChoice.LADDER.size())) {
      PlanRequest smaller = auto.withBudget(bytes - PAGE);
      Plan plan = planner.plan(smaller);
      assertThat(plan.cache().format()).isEqualTo(next);
      assertThat(plan.weights()).isEqualTo(Plan.Weights.RESIDENT);
      assertThat(plan.bytes()).isLessThan(bytes);
      Plan streamed = planner.plan(usual.withBudget(bytes - PAGE));
      assertThat(streamed.cache().format()).isEqualTo(KvFormat.F16);
      assertThat(streamed.weights().streamBuffer()).isPositive();
      bytes = plan.bytes();
    }
    // Below the last, what loses least comes first again.
    Plan least = planner.plan(auto.withBudget(bytes - PAGE));
    assertThat(least.cache().format()).isEqualTo(KvFormat.F16);
    assertThat(least.weights().streamBuffer()).isPositive();
  }

  /** The order of the ladder is the order of what was measured, and the table shows it. */
  @Test
  void theLadderLosesMoreFromStepToStep() {
    double before = -1;
    for (KvFormat format : KvChoice.LADDER) {
      double divergence = KvQuality.of(Plan.Cache.of(format)).orElseThrow().divergence();
      assertThat(divergence).isGreaterThan(before);
      before = divergence;
    }
    Plan plan = planner(ShapeFile.llama1b()).plan(request(3072 * MIB).withContext(4096));
    assertThat(plan.choices())
        .filteredOn(c -> c.component().equals("kv"))
        .singleElement()
        .satisfies(c ->
            assertThat(c.alternatives()).hasSize(3).allMatch(a -> a.cost().contains("; KL 0.")));
  }

  @Test
  void theCacheIsAsItWasAskedFor() {
    Planner planner = planner(ShapeFile.llama1b());
    KvChoice choice =
        KvChoice.parse("v=q4_0,k=q8_0").withRecent(32).withTransform(KvTransform.ROTATED);
    Plan plan = planner.plan(request(3072 * MIB).withContext(4096).withCache(choice));
    assertThat(plan.cache().format())
        .isEqualTo(new KvFormat(Formats.Q8_0, Formats.Q4_0, 32, KvTransform.ROTATED));
    Plan without = planner.plan(request(3072 * MIB).withContext(4096));
    assertThat(plan.bytes()).isLessThan(without.bytes());
    assertThat(plan.choices())
        .filteredOn(c -> c.component().equals("kv"))
        .singleElement()
        .satisfies(c -> {
          assertThat(c.chosen()).isEqualTo("k=Q8_0,v=Q4_0, rotated, last 32 in F16");
          assertThat(c.alternatives())
              .extracting(Plan.Alternative::name)
              .containsExactly(
                  "F16", "Q8_0, rotated, last 32 in F16", "Q4_0, rotated, last 32 in F16");
        });
  }

  @Test
  void aRecipeThatForgetsTakesTheBytesOfWhatItKeeps() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanRequest full = request(8192 * MIB).withContext(131_072).withPrefillChunk(64);
    Plan plan = planner.plan(full.withCache(KvChoice.USUAL.withPolicy(STREAMING)));
    assertThat(plan.cache()).isEqualTo(Plan.Cache.of(KvFormat.F16).withPolicy(STREAMING));
    long token = 16L * 8 * 64 * 2 * 2;
    assertThat(share(plan, "kv")).isBetween(1087 * token, (1087 + 2 * 64) * token);
    assertThat(plan.shares())
        .filteredOn(s -> s.account().equals("kv"))
        .extracting(Plan.Share::what)
        .containsExactly("131,072 tokens in F16, streaming(4) uniform(1024): at most 1,087 kept");
    assertThat(plan.choices())
        .filteredOn(c -> c.component().equals("kv"))
        .singleElement()
        .satisfies(c -> {
          assertThat(c.chosen()).endsWith("quality not measured");
          // The same format with nothing forgotten is among what else there is.
          assertThat(c.alternatives())
              .filteredOn(a -> a.name().equals("F16"))
              .singleElement()
              .satisfies(a -> assertThat(a.bytes() - plan.bytes()).isGreaterThan(100_000 * token));
          assertThat(c.alternatives())
              .filteredOn(a -> a.name().contains("streaming"))
              .hasSize(3)
              .allMatch(a -> a.cost().endsWith("not measured"));
        });
    // Attention goes over what is kept, however much was read.
    CostModel costs = planner.costs();
    double late = costs.decodeSeconds(plan, 100_000);
    assertThat(late).isEqualTo(costs.decodeSeconds(plan, 1_100));
    assertThat(late).isLessThan(costs.decodeSeconds(planner.plan(full), 100_000) / 2);
    // A plan does not forget unless it may.
    PlanRequest tight = request(300 * MIB).withContext(131_072);
    KvChoice all = KvChoice.AUTO.withPolicy(KvPolicy.FULL);
    assertThat(planner.plan(tight.withCache(all)).cache().keepsAll()).isTrue();
    assertThatThrownBy(() -> planner.plan(tight.withCache(all.withResident(0))))
        .isInstanceOf(PlanDoesNotFitException.class);
    KvChoice asked = KvChoice.AUTO.withPolicy(STREAMING);
    assertThat(planner.plan(tight.withCache(asked)).context()).isEqualTo(131_072);
  }

  /**
   * Only once fewer bits do not keep the weights in memory, and saying what that was measured to
   * lose.
   */
  @Test
  void autoForgetsRatherThanReadWeightsAgain() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanRequest usual = request(8192 * MIB).withContext(65_536).withPrefillChunk(64);
    KvChoice all = KvChoice.of(KvChoice.LADDER.getLast());
    long bytes = planner.plan(usual.withCache(all)).bytes();
    PlanRequest auto = usual.withCache(KvChoice.AUTO);
    assertThat(planner.plan(auto.withBudget(bytes)).cache().keepsAll()).isTrue();
    Plan plan = planner.plan(auto.withBudget(bytes - PAGE));
    assertThat(plan.weights()).isEqualTo(Plan.Weights.RESIDENT);
    // What goes by figures of the model is left out where there are none.
    assertThat(plan.cache().policy()).isEqualTo(Recipe.of("keydiff(50%)"));
    assertThat(plan.cache().format()).isEqualTo(KvChoice.LADDER.getLast());
    Plan streamed = planner.plan(auto.withBudget(plan.bytes() - PAGE));
    assertThat(streamed.weights().streamBuffer()).isPositive();
    assertThat(streamed.cache().keepsAll()).isTrue();
    assertThat(plan.choices())
        .filteredOn(c -> c.component().equals("kv"))
        .singleElement()
        .satisfies(c -> {
          assertThat(c.chosen()).containsPattern("KL 0.0\\d+, \\d+ % of the answers");
        });
    assertThat(Plan.ofJson(plan.toJson())).isEqualTo(plan);
  }

  @Test
  void constraintsAreCounted() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanRequest request = PlanRequest.of(3L << 30, 4).withContext(1024);
    Plan without = planner.plan(request);
    Plan with = planner.plan(request.withConstraint(32 * MIB));

    assertThat(without.bytes("constraint")).isZero();
    assertThat(with.bytes("constraint")).isEqualTo(32 * MIB);
    assertThat(with.bytes()).isEqualTo(without.bytes() + 32 * MIB);
    assertThat(Plan.ofJson(with.toJson())).isEqualTo(with);
    // They are in what a plan needs at the least, too.
    PlanDoesNotFitException few =
        catchThrowableOfType(
            PlanDoesNotFitException.class, () -> planner.plan(request.withBudget(MIB)));
    PlanDoesNotFitException more =
        catchThrowableOfType(
            PlanDoesNotFitException.class,
            () -> planner.plan(request.withBudget(MIB).withConstraint(32 * MIB)));
    assertThat(more.leastBudget()).isEqualTo(few.leastBudget() + 32 * MIB);
  }

  @Test
  void withoutAContextItTakesWhatFits() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanRequest request =
        new PlanRequest(
            200 * MIB, OptionalInt.empty(), 1, 4, KvChoice.of(Formats.F16), OptionalInt.empty(), 0);
    Plan plan = planner.plan(request);
    assertThat(plan.context()).isBetween(1, PlanRequest.USUAL_CONTEXT - 1);
    PlanRequest inMemory = request.withCache(KvChoice.of(Formats.F16).withResident(0));
    assertThatThrownBy(() -> planner.plan(inMemory.withContext(plan.context() + 1)))
        .isInstanceOf(PlanDoesNotFitException.class);
  }

  @Test
  void tokensGoToDiskOnlyWhereAnAskedForContextFitsInNoOtherWay() {
    Planner planner = planner(ShapeFile.llama1b());
    int context = 131_072;
    PlanRequest asked = request(300 * MIB).withContext(context);
    PlanDoesNotFitException inMemory =
        catchThrowableOfType(
            PlanDoesNotFitException.class,
            () -> planner.plan(asked.withCache(KvChoice.USUAL.withResident(0))));
    Plan just = planner.plan(asked.withBudget(inMemory.leastBudget()));
    assertThat(just.cache()).isEqualTo(Plan.Cache.of(KvChoice.LADDER.getLast()));

    for (long budget : new long[] {inMemory.leastBudget() - PAGE, 500 * MIB, 300 * MIB}) {
      Plan plan = planner.plan(asked.withBudget(budget));
      assertThat(sum(plan)).isEqualTo(plan.bytes()).isLessThanOrEqualTo(budget);
      assertThat(plan.context()).isEqualTo(context);
      assertThat(plan.cache().format()).isEqualTo(KvChoice.LADDER.getLast());
      int resident = plan.cache().resident();
      assertThat(resident).isBetween(Planner.LEAST_RESIDENT, context - 1);
      assertThat(resident % 64).isZero();
      // 16 layers of 8 heads of 64 numbers in 18 bytes for 32, keys and values: one page more of
      // each head, and the memory is full.
      assertThat(budget - plan.bytes()).isLessThan(64L * 16 * 8 * 36 * 2 + PAGE);
      long disk = plan.cache().layout(ShapeFile.llama1b().spec()).diskBytes(context);
      assertThat(disk).isPositive();
      assertThat(plan.shares())
          .filteredOn(s -> s.account().equals("kv"))
          .extracting(Plan.Share::what)
          .containsExactly(
              "131,072 tokens in Q4_0, rotated, last 64 in F16, the last %,d in memory, up to %s on disk"
                  .formatted(resident, Budget.formatSize(disk)));
      double full = planner.costs().decodeSeconds(plan, context - 1);
      assertThat(full).isGreaterThanOrEqualTo(disk / 1.5e9);
      assertThat(plan.choices())
          .filteredOn(c -> c.component().equals("kv"))
          .singleElement()
          .satisfies(c -> {
            assertThat(c.chosen())
                .endsWith(
                    "when full, %s on disk and %.2f tok/s"
                        .formatted(Budget.formatSize(disk), 1 / full));
            assertThat(c.alternatives())
                .extracting(Plan.Alternative::cost)
                .allMatch(cost -> cost.contains("does not fit"));
            assertThat(c.alternatives()).extracting(Plan.Alternative::name).doesNotHaveDuplicates();
          });
      assertThat(plan.prediction().decodeTokensPerSecond())
          .isEqualTo(1 / planner.costs().decodeSeconds(plan, 0))
          .isGreaterThan(1 / full);
    }
    // Weights come before tokens: they are read in every step, and tokens only once there are many.
    assertThat(planner.plan(asked.withBudget(1300 * MIB)).weights())
        .isEqualTo(Plan.Weights.RESIDENT);
    Plan unasked = planner.plan(request(300 * MIB));
    assertThat(unasked.cache()).isEqualTo(Plan.Cache.of(KvFormat.F16));
  }

  @Test
  void soManyTokensStayInMemoryAsWasSaid() {
    Planner planner = planner(ShapeFile.llama1b());
    PlanRequest request = request(8192 * MIB).withContext(16_384).withPrefillChunk(64);
    Plan all = planner.plan(request);
    Plan some = planner.plan(request.withCache(KvChoice.USUAL.withResident(2000)));
    assertThat(some.cache()).isEqualTo(Plan.Cache.of(KvFormat.F16).withResident(2000));
    long token = 16L * 8 * 64 * 2 * 2;
    assertThat(share(all, "kv")).isEqualTo(16_384 * token);
    // And a block that is not full yet, and two buffers of a layer's part of a block.
    assertThat(share(some, "kv")).isBetween(2000 * token, (2000 + 1024 + 3 * 64 + 128) * token);
    assertThat(some.choices())
        .filteredOn(c -> c.component().equals("kv"))
        .singleElement()
        .satisfies(c ->
            assertThat(c.alternatives())
                .filteredOn(a -> a.name().equals("F16"))
                .singleElement()
                .satisfies(a -> assertThat(a.bytes()).isEqualTo(all.bytes())));
    assertThatThrownBy(() ->
            planner.plan(request.withCache(KvChoice.USUAL.withPolicy(STREAMING).withResident(64))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("score=streaming(4)")
        .hasMessageContaining("none to keep on disk");
  }

  @Test
  void alternativesAreWholePlans() {
    Plan plan = planner(ShapeFile.llama1b()).plan(request(768 * MIB).withContext(4096));
    assertThat(plan.choices())
        .extracting(Plan.Choice::component)
        .containsExactly("weights", "output", "kv", "prefill step");
    for (Plan.Choice choice : plan.choices()) {
      assertThat(choice.alternatives()).isNotEmpty();
      for (Plan.Alternative other : choice.alternatives()) {
        assertThat(other.cost().contains("does not fit")).isEqualTo(other.bytes() > 768 * MIB);
        assertThat(other.decodeTokensPerSecond()).isPositive();
      }
    }
  }

  @Test
  void refusesWhatTheModelCannot() {
    Planner planner = planner(ShapeFile.llama1b());
    assertThatThrownBy(() -> planner.plan(request(3072 * MIB).withContext(131_073)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("131,072");
    ShapeFile odd =
        new ShapeFile(
            ShapeFile.spec(
                "odd",
                320,
                1000,
                2048,
                true,
                2,
                ShapeFile.layer(4, 4, 80, 0, ShapeFile.dense(320, 640))),
            Formats.Q8_0);
    assertThatThrownBy(() -> planner(odd).plan(request(512 * MIB).withCacheFormat(Formats.Q4_0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Q4_0");
    assertThat(planner(odd).plan(request(512 * MIB)).cache().format().keys().name())
        .isEqualTo("F16");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void noPlanIsLargerThanItsBudget(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int planned = 0;
    for (int i = 0; i < 25; i++) {
      ShapeFile file = randomFile(random);
      Planner planner = planner(file);
      long budget = 100 * MIB + random.nextLong(1 << random.nextInt(20, 31));
      int context = random.nextInt(1, 9000);
      PlanRequest request =
          new PlanRequest(
              budget,
              random.nextBoolean() ? OptionalInt.empty() : OptionalInt.of(context),
              random.nextInt(1, 5),
              random.nextInt(1, 17),
              switch (random.nextInt(4)) {
                case 0 -> KvChoice.USUAL;
                case 1 -> KvChoice.USUAL.withPolicy(STREAMING);
                case 2 -> KvChoice.AUTO.withPolicy(STREAMING);
                default -> KvChoice.AUTO;
              },
              random.nextInt(4) == 0
                  ? OptionalInt.of(random.nextInt(1, 1000))
                  : OptionalInt.empty(),
              random.nextBoolean() ? 0 : random.nextLong(40 * MIB));
      try {
        Plan plan = planner.plan(request);
        planned++;
        assertThat(sum(plan)).isEqualTo(plan.bytes()).isLessThanOrEqualTo(budget);
        assertThat(plan.shares()).allSatisfy(s -> assertThat(s.bytes()).isNotNegative());
        assertThat(plan.prefillChunk()).isBetween(1, plan.context());
        assertThat(plan.weights().streamedLayers()).doesNotHaveDuplicates().isSorted();
        assertThat(plan.weights().streamBuffer() > 0)
            .isEqualTo(
                plan.weights().outputStreamed() || !plan.weights().streamedLayers().isEmpty());
        assertThat(plan.prediction().decodeTokensPerSecond()).isPositive().isFinite();
        assertThat(plan.prediction().secondsToFirstToken()).isPositive().isFinite();
        assertThat(Plan.ofJson(plan.toJson())).isEqualTo(plan);
      } catch (PlanDoesNotFitException e) {
        assertThat(e.leastBudget()).isGreaterThan(budget);
        assertThat(e.largestContext()).isLessThan(request.context().orElse(Integer.MAX_VALUE));
      }
    }
    assertThat(planned).isPositive();
  }

  private static ShapeFile states() {
    Block mixer = new StateSpace(new Norms("attn_norm.weight", null), 768, 1536, 24, 128, 1, 4);
    return new ShapeFile(
        ShapeFile.spec("states", 768, 50_288, 8192, true, 24, new LayerSpec(List.of(mixer))),
        Formats.Q8_0);
  }

  /** Budgets from the least that does to one with room for all that are of use. */
  @ParameterizedTest
  @ValueSource(longs = {0, 1024, 8192})
  void checkpointsTakeAPartOfWhatIsLeft(long mebibytes) {
    ShapeFile file = states();
    PlanRequest request = request(Math.max(1, mebibytes * MIB)).withContext(8192);
    if (mebibytes == 0) {
      PlanDoesNotFitException refused =
          catchThrowableOfType(
              PlanDoesNotFitException.class,
              () -> planner(file).plan(request(1).withContext(4096)));
      request = request(refused.leastBudget()).withContext(4096);
    }
    Plan plan = planner(file).plan(request);
    Checkpoints checkpoints = plan.cache().checkpoints();
    KvLayout layout = plan.cache().layout(file.spec());
    long bytes = checkpoints.count() * layout.checkpointBytes();
    int useful = 4 + Math.ceilDiv(plan.context(), checkpoints.distance());
    assertThat(checkpoints.format()).isEqualTo(Formats.F32);
    assertThat(checkpoints.distance()).isGreaterThanOrEqualTo(plan.prefillChunk());
    if (mebibytes == 8192) {
      assertThat(checkpoints.count()).isEqualTo(useful);
    } else {
      assertThat(checkpoints.count()).isBetween(mebibytes == 0 ? 2 : 4, useful - 1);
    }
    assertThat(bytes).isLessThanOrEqualTo(Math.max(request.budget() / 8, 40 * MIB));
    assertThat(plan.bytes()).isLessThanOrEqualTo(request.budget());
    assertThat(share(plan, "kv"))
        .isGreaterThanOrEqualTo(layout.bytes(plan.context(), plan.prefillChunk()));
    assertThat(plan.toString())
        .contains(
            "* one every %,d tokens, %d a sequence in F32"
                .formatted(checkpoints.distance(), checkpoints.count()));
    Plan.Choice choice = plan.choices().getLast();
    assertThat(choice.alternatives())
        .extracting(Plan.Alternative::bytes)
        .allMatch(other -> other < plan.bytes() - bytes / 3);
    assertThat(Plan.ofJson(plan.toJson())).isEqualTo(plan);
  }

  @Test
  void statesCountAndLeaveNothingToChoose() {
    ShapeFile file = states();
    Plan plan = planner(file).plan(request(1024 * MIB).withContext(8192));
    Plan.Share kv =
        plan.shares().stream().filter(s -> s.account().equals("kv")).findFirst().orElseThrow();
    assertThat(kv.what()).isEqualTo("states of 24 layers");
    // The convolution's three rows and the heads' states, in F32, before a step and after it.
    long state = 4 * (3 * (1536 + 2 * 128) + 1536 * 128);
    assertThat(kv.bytes()).isGreaterThanOrEqualTo(2 * 24 * state);
    assertThat(plan.choices()).noneMatch(choice -> choice.component().equals("kv"));
    assertThat(plan.prediction().decodeTokensPerSecond()).isBetween(1.0, 1e4);
  }

  private static ShapeFile randomFile(SplittableRandom random) {
    int kvHeads = 1 << random.nextInt(4);
    int heads = kvHeads << random.nextInt(3);
    int headSize = 32 * random.nextInt(1, 5);
    int width = 256 * random.nextInt(1, 9);
    int hidden = 256 * random.nextInt(1, 17);
    int window = random.nextBoolean() ? 0 : random.nextInt(16, 2048);
    Block mlp = ShapeFile.dense(width, hidden);
    if (random.nextInt(3) == 0) {
      int count = random.nextInt(2, 65);
      int used = random.nextInt(1, count + 1);
      mlp = ShapeFile.experts(width, count, used, hidden);
    }
    List<Format> formats = List.of(Formats.Q4_0, Formats.Q8_0, Formats.F16, Formats.Q4_K);
    // K-quants need rows of whole 256s in every matrix, the attention's output among them.
    Format format = formats.get(random.nextInt(heads * headSize % 256 == 0 ? 4 : 3));
    return new ShapeFile(
        ShapeFile.spec(
            "random",
            width,
            random.nextInt(100, 150_000),
            random.nextInt(9000, 140_000),
            random.nextBoolean(),
            random.nextInt(1, 40),
            ShapeFile.layer(heads, kvHeads, headSize, window, mlp)),
        format);
  }
}
