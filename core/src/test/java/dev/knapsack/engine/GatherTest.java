package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.PerLayerInputs;
import dev.knapsack.model.Run;
import dev.knapsack.model.Transformer;
import dev.knapsack.model.Workspace;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.Machine;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.tensor.Formats;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tables of which steps read rows: in memory, or on disk. */
class GatherTest {
  private static final Machine MACHINE =
      new Machine(
          "any",
          "scalar",
          2,
          1e10,
          1e9,
          new Machine.Rates(1e9, 2e9),
          Map.of("F32", new Machine.Rates(1e9, 2e9)));

  private static final Kernels KERNELS = KernelProvider.SCALAR.open().kernels();

  @TempDir static Path folder;

  private static Plan plan(ModelFile file, ModelSpec spec, long budget) {
    return new Planner(file, spec, MACHINE, KERNELS, new JvmShare(4096, 0, 0, 0))
        .plan(PlanRequest.of(budget, 1).withContext(64).withPrefillChunk(16));
  }

  private static long share(Plan plan) {
    return plan.shares().stream()
        .filter(share -> share.account().equals("weights/gather"))
        .mapToLong(Plan.Share::bytes)
        .sum();
  }

  @Test
  void aSmallBudgetLeavesThemOnDiskBeforeLayers() {
    try (ModelFile file = ModelFile.open(TestData.path("golden/gemma3n/model.gguf"))) {
      ModelSpec spec = Families.spec(file);
      long table = file.tensors().get(PerLayerInputs.TABLE).bytes();
      Plan whole = plan(file, spec, 1L << 32);
      assertThat(whole.weights()).isEqualTo(Plan.Weights.RESIDENT);
      assertThat(share(whole)).isBetween(table, table + 8192);
      Plan less = plan(file, spec, whole.bytes() - share(whole) + 8 * 8192);
      assertThat(less.weights()).isEqualTo(Plan.Weights.RESIDENT.withGathered(true));
      assertThat(whole.bytes() - less.bytes()).isEqualTo(share(whole) - share(less));
      assertThat(share(less)).isLessThan(table);
      assertThat(less.prediction().decodeTokensPerSecond())
          .isLessThan(whole.prediction().decodeTokensPerSecond());
      assertThat(less.toString()).contains("weights/gather").contains("on disk, 8 at a time");
      assertThat(less.choices())
          .anyMatch(choice -> choice.chosen().equals("on disk, rows read when needed"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gemma4", "gemma3n"})
  void noBitDependsOnWhereTheyAre(String name) {
    sameEitherWay(TestData.path("golden/" + name + "/model.gguf"), PerLayerInputs.TABLE);
  }

  @Test
  void noBitDependsOnWhereTheEmbeddingIs() {
    sameEitherWay(TinyModel.dense(folder, Formats.Q8_0), ModelSpec.EMBEDDING);
  }

  private static void sameEitherWay(Path path, String table) {
    try (ModelFile file = ModelFile.open(path)) {
      ModelSpec spec = Families.spec(file);
      long bytes = file.tensors().get(table).bytes();
      Computed whole = compute(file, spec, Plan.Weights.RESIDENT);
      assertThat(whole.leased).isGreaterThanOrEqualTo(bytes);
      assertThat(whole.reads).isEqualTo(TableReads.NONE);
      Computed gathered = compute(file, spec, Plan.Weights.RESIDENT.withGathered(true));
      assertThat(gathered.logits).isEqualTo(whole.logits);
      assertThat(gathered.leased).isEqualTo(8 * (bytes / spec.vocabulary() / 4096 * 4096 + 8192));
      long row = bytes / spec.vocabulary();
      assertThat(gathered.reads.predicted()).isBetween(row, row + 2 * 4096);
      // 20 tokens, of which 14 differ, and 3 of them again.
      assertThat(gathered.reads.measured() * 23 / 17).isBetween(1.0 * row, row + 2.0 * 4096);
      int[] layers = IntStream.range(0, spec.layers().size()).toArray();
      Plan.Weights streamed = TinyModel.streaming(true, 1 << 20, layers).withGathered(true);
      assertThat(compute(file, spec, streamed).logits).isEqualTo(whole.logits);
    }
  }

  record Computed(float[] logits, long leased, TableReads reads) {}

  /** The logits of a prompt's tokens, and of three more one by one. */
  static Computed compute(ModelFile file, ModelSpec spec, Plan.Weights places) {
    Budget budget = Budget.of("64MiB");
    Account activations = budget.account("activations");
    Account account = budget.account("weights");
    int[] tokens = new int[23];
    Arrays.setAll(tokens, i -> 5 * (i % 14));
    var layout = Plan.Cache.parse("f32", "full").layout(spec);
    float[] logits = new float[23 * spec.vocabulary()];
    try (WorkerTeam team = new WorkerTeam(2);
        Compute compute =
            new Compute(
                KERNELS, team, Compute.Precision.FLOAT, spec.limits(20, layout), activations);
        Workspace workspace = new Workspace(spec, layout, 20, 20, activations);
        PlannedWeights weights =
            new PlannedWeights(file, spec, places, account, team, Host.LoadProgress.NONE);
        KvPool pool = new KvPool(layout, budget.account("kv"));
        SequenceState state = pool.sequence()) {
      Transformer transformer = new Transformer(spec, weights, compute, workspace);
      for (int from = 0, to = 20; from < tokens.length; from = to, to++) {
        Run run = new Run(state, tokens, from, to, to - from);
        float[] some =
            transformer.forward(List.of(run)).data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        int count = (to - from) * spec.vocabulary();
        System.arraycopy(some, 0, logits, from * spec.vocabulary(), count);
      }
      return new Computed(logits, account.part("gather").own(), weights.tableReads());
    }
  }
}
