package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.error.PlanDoesNotFitException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Workspace;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.KvChoice;
import dev.knapsack.plan.Plan;
import dev.knapsack.planner.JvmShare;
import dev.knapsack.planner.Machine;
import dev.knapsack.planner.PlanRequest;
import dev.knapsack.planner.Planner;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What a plan says an account takes is what it takes, byte for byte. */
class PlanBytesTest {
  private static final Machine MACHINE =
      new Machine(
          "any",
          "scalar",
          2,
          1e10,
          1e9,
          new Machine.Rates(1e9, 2e9),
          Map.of("F32", new Machine.Rates(1e9, 2e9)));

  private final Kernels kernels = KernelProvider.SCALAR.open().kernels();

  @Test
  void everyAccountLeasesItsShare() throws Exception {
    List<Path> models = new ArrayList<>(List.of(TestData.path("models/stories260K.gguf")));
    try (Stream<Path> golden = Files.walk(TestData.path("golden"))) {
      golden.filter(p -> p.toString().endsWith(".gguf")).sorted().forEach(models::add);
    }
    int streamed = 0;
    int plans = 0;
    Set<KvFormat> formats = new HashSet<>();
    for (Path path : models) {
      try (ModelFile file = ModelFile.open(path)) {
        if (!Families.supported().contains(file.metadata().string("general.architecture"))) {
          continue;
        }
        ModelSpec spec = Families.spec(file);
        Planner planner = new Planner(file, spec, MACHINE, kernels, new JvmShare(4096, 0, 0, 0));
        int context = Math.min(spec.context(), 100);
        Plan plan = planner.plan(PlanRequest.of(1L << 32, 2).withContext(context));
        // From all that it takes down to the least, in a few steps.
        for (long budget = plan.bytes(); ; budget = plan.bytes() / 2) {
          try {
            plan = planner.plan(PlanRequest.of(budget, 2).withContext(context));
          } catch (PlanDoesNotFitException least) {
            break;
          }
          check(file, spec, plan);
          formats.add(checkOtherFormats(file, spec, planner, plan, plans));
          plans++;
          streamed += plan.weights().streamBuffer() > 0 ? 1 : 0;
        }
      }
    }
    assertThat(plans).isGreaterThan(models.size() / 2);
    assertThat(streamed).isPositive();
    assertThat(formats).hasSizeGreaterThan(10);
  }

  /** The same with another form of the cache, a different one each time. */
  private KvFormat checkOtherFormats(
      ModelFile file, ModelSpec spec, Planner planner, Plan plan, int turn) {
    List<Format> fitting =
        Formats.cache().stream().filter(f -> fits(spec, KvFormat.of(f, f))).toList();
    KvFormat form =
        new KvFormat(
            fitting.get(turn % fitting.size()),
            fitting.get(turn * 7 % fitting.size()),
            turn % 3 * 20,
            KvTransform.values()[turn % 3]);
    if (!fits(spec, form)) {
      form = KvFormat.of(form.keys(), form.keys()).withRecent(form.recent());
    }
    KvFormat sketched = KvFormat.of("QJL:" + (1 << turn % 4), form.values().name());
    if (fits(spec, sketched)) {
      form = sketched.withRecent(form.recent());
    }
    PlanRequest request =
        PlanRequest.of(1L << 32, 2).withContext(plan.context()).withCache(KvChoice.of(form));
    if (!spec.readsWholeTexts()) {
      request = request.withPrefillChunk(1 + turn % 40);
    }
    Plan other = planner.plan(request);
    assertThat(other.cache().format()).isEqualTo(form);
    check(file, spec, other);
    return form;
  }

  private static boolean fits(ModelSpec spec, KvFormat format) {
    return spec.layers().stream().allMatch(layer -> format.fits(layer.remembers()));
  }

  private void check(ModelFile file, ModelSpec spec, Plan plan) {
    Budget budget = Budget.ofBytes(plan.budget());
    budget.account("jvm").reserve(4096);
    int tokens = Math.max(plan.prefillChunk(), plan.sequences());
    var layout = plan.cache().layout(spec);
    Account activations = budget.account("activations");
    try (WorkerTeam team = new WorkerTeam(plan.workers());
        Compute compute =
            new Compute(
                kernels, team, Compute.Precision.FLOAT, spec.limits(tokens, layout), activations);
        Workspace workspace =
            new Workspace(
                spec, layout, tokens, spec.logitRows(tokens, plan.sequences()), activations);
        PlannedWeights weights =
            new PlannedWeights(
                file,
                spec,
                plan.weights(),
                budget.account("weights"),
                team,
                Host.LoadProgress.NONE);
        KvPool pool = new KvPool(layout, budget.account("kv"));
        SequenceState cache = pool.sequence()) {
      if (spec.outputNorm() != null) {
        assertThat(weights.find(spec.outputNorm()).columns()).isEqualTo(spec.width());
      }
      assertThat(workspace.tokens()).isEqualTo(tokens);
      assertThat(compute.team()).isSameAs(team);
      for (int done = 0; done < plan.context(); ) {
        int step = Math.min(plan.prefillChunk(), plan.context() - done);
        cache.reserve(step);
        cache.commit(step);
        cache.settle();
        done += step;
      }
      Map<String, Long> predicted = new TreeMap<>();
      plan.shares().forEach(s -> predicted.merge(s.account(), s.bytes(), Long::sum));
      for (Account account : budget.accounts()) {
        if (account.name().equals("kv")) {
          // Windows and steps may meet the ends of pages better than the worst case planned for.
          assertThat(account.peak()).isLessThanOrEqualTo(predicted.getOrDefault("kv", 0L));
          assertThat(account.peak() > 0).isNotEqualTo(spec.readsWholeTexts());
        } else {
          assertThat(account.own())
              .as("%s of %s in %,d", account.name(), file.path(), plan.budget())
              .isEqualTo(predicted.getOrDefault(account.name(), 0L));
        }
      }
      assertThat(budget.peak()).isLessThanOrEqualTo(plan.bytes());
    }
  }
}
