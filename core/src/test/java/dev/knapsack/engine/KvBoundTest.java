package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** While a long prompt is read, block by block, the cache keeps to what it was promised. */
class KvBoundTest {
  private static final int CONTEXT = 128;

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma3", "phi3_swa", "deepseek2_mla"})
  void staysWithinItsBound(String model) throws Exception {
    int checked = 0;
    int sketched = 0;
    try (ModelFile file = ModelFile.open(TestData.path("golden/" + model + "/model.gguf"))) {
      ModelSpec spec = Families.spec(file, CONTEXT);
      int vocabulary = spec.vocabulary();
      int[] prompt = new Random(1).ints(CONTEXT - 8, 0, vocabulary).toArray();
      for (Format format : Formats.cache()) {
        if (!fits(spec, KvFormat.of(format, format))) {
          continue;
        }
        for (int recent : List.of(0, 20)) {
          KvTransform transform = KvTransform.values()[checked / 2 % 3];
          KvFormat form =
              new KvFormat(
                  format, format, recent, spec.cachesLatents() ? KvTransform.NONE : transform);
          int step = checked % 3 == 0 ? 7 : 32;
          check(file, spec, form, step, prompt);
          checked++;
        }
      }
      for (int sketch : List.of(2, 4, 8)) {
        KvFormat form = KvFormat.of("QJL:" + sketch, "F16").withRecent(checked % 2 * 20);
        if (fits(spec, form)) {
          check(file, spec, form, 20, prompt);
          checked++;
          sketched++;
        }
      }
    }
    assertThat(sketched > 0).isNotEqualTo(model.equals("deepseek2_mla"));
    assertThat(checked).isGreaterThan(9);
  }

  private static boolean fits(ModelSpec spec, KvFormat format) {
    return spec.layers().stream().allMatch(layer -> format.fits(layer.remembers()));
  }

  private static void check(ModelFile file, ModelSpec spec, KvFormat form, int step, int[] prompt) {
    Budget budget = Budget.of("256MiB");
    long bound = spec.kvLayout(form).bytes(CONTEXT, step);
    try (Engine engine =
            Engine.open(file, null, plan(form, step), new Host(budget), Engine.Options.usual());
        Answer answer =
            engine.start(Request.of(prompt).withSampling(Sampling.GREEDY).withMaxTokens(8))) {
      // The pages come out of a purse of this size: one more would fail the answer.
      answer.text();
      assertThat(answer.finishReason()).as("%s", form).isPresent();
      assertThat(budget.account("kv").peak())
          .as("%s in steps of %d", form.describe(), step)
          .isPositive()
          .isLessThanOrEqualTo(bound);
    }
    assertThat(budget.used()).isZero();
  }

  private static Plan plan(KvFormat form, int step) {
    return new Plan(
        "golden",
        256L << 20,
        CONTEXT,
        1,
        Plan.Cache.of(form),
        step,
        1,
        Plan.Weights.RESIDENT,
        List.of(),
        List.of(),
        new Plan.Prediction(0, 0, 0, 0, 0));
  }
}
