package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.TestData;
import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.QueryFrame;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers whose cached keys hold their values. */
class LatentAttentionTest {
  private static final int TOKENS = 90;

  private static ModelFile open(String name) {
    return ModelFile.open(TestData.path("golden/" + name + "/model.gguf"));
  }

  private static int[] tokens(int seed) {
    return Rig.tokens(TOKENS, 300, seed);
  }

  private static float[] row(float[] logits, int row, Rig rig) {
    int vocabulary = rig.spec.vocabulary();
    return Arrays.copyOfRange(logits, row * vocabulary, (row + 1) * vocabulary);
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek2_lite", "deepseek2_mla", "deepseek2_v3"})
  void neitherStepsNorWorkersChangeWhatIsComputed(String name) {
    for (KernelProvider provider : KernelProvider.here()) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider).tokens(TOKENS);
      try (ModelFile file = open(name);
          Rig one = new Rig(file, parts);
          Rig three = new Rig(file, parts.workers(3))) {
        float[] single = one.logits(tokens(1), 1);
        for (int step : List.of(7, TOKENS)) {
          float[] several = one.logits(tokens(1), step);
          assertThat(Rig.error(single, several)).as("%d at a time", step).isLessThan(1e-11);
          assertThat(three.logits(tokens(1), step)).as("%d, workers", step).isEqualTo(several);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek2_lite", "deepseek2_v3"})
  void sequencesOfAStepDoNotSeeEachOther(String name) {
    try (ModelFile file = open(name);
        Rig rig = new Rig(file, Rig.Parts.USUAL.workers(2));
        SequenceState a = rig.pool.sequence();
        SequenceState b = rig.pool.sequence()) {
      float[] first = rig.logits(tokens(3), 60);
      float[] second = rig.logits(tokens(4), 60);
      rig.transformer.forward(
          List.of(new Run(a, tokens(3), 0, 9, 0), new Run(b, tokens(4), 0, 2, 0)));
      float[] together =
          Rig.floats(
              rig.transformer.forward(
                  List.of(new Run(a, tokens(3), 9, 20, 1), new Run(b, tokens(4), 2, 3, 1))));
      assertThat(row(together, 0, rig)).isEqualTo(row(first, 19, rig));
      assertThat(row(together, 1, rig)).isEqualTo(row(second, 2, rig));
    }
  }

  /** A token that is written beside others is what it is alone, to the bit. */
  @Test
  void whatIsWrittenDoesNotDependOnWhatIsReadBeside() {
    for (KernelProvider provider : KernelProvider.here()) {
      try (ModelFile file = open("deepseek2_mla");
          Rig rig = new Rig(file, Rig.Parts.USUAL.with(provider).tokens(TOKENS).workers(2));
          SequenceState alone = rig.pool.sequence();
          SequenceState beside = rig.pool.sequence();
          SequenceState other = rig.pool.sequence()) {
        for (SequenceState state : List.of(alone, beside)) {
          rig.transformer.forward(List.of(run(state, tokens(6), 0, 20, 0, Run.Kind.PROMPT)));
        }
        Run next = run(alone, tokens(6), 20, 21, 1, Run.Kind.WRITTEN);
        float[] expected = Rig.floats(rig.transformer.forward(List.of(next)));
        float[] both =
            Rig.floats(
                rig.transformer.forward(
                    List.of(
                        run(beside, tokens(6), 20, 21, 1, Run.Kind.WRITTEN),
                        run(other, tokens(7), 0, 70, 0, Run.Kind.PROMPT))));
        assertThat(both).isEqualTo(expected);
      }
    }
  }

  private static Run run(
      SequenceState state, int[] tokens, int from, int to, int logits, Run.Kind kind) {
    return new Run(state, tokens, from, to, logits, 0, kind, null);
  }

  /** With activations in 8 bits where the matrices of heads are in blocks. */
  @Test
  void quantisedMatricesOfHeadsAreMultiplied(@TempDir Path folder) {
    Path quantised = folder.resolve("q8_0.gguf");
    Budget budget = Budget.of("256MiB");
    try (ModelFile file = open("deepseek2_mla");
        WorkerTeam team = new WorkerTeam(2)) {
      new Quantizer(file, Formats.Q8_0, null)
          .write(quantised, budget.account("quantize"), team, Progress.NONE);
    }
    try (ModelFile file = ModelFile.open(quantised)) {
      assertThat(file.tensors().get("blk.0.attn_v_b.weight").format()).isEqualTo(Formats.Q8_0);
      for (KernelProvider provider : KernelProvider.here()) {
        Rig.Parts parts = Rig.Parts.USUAL.with(provider);
        try (Rig floats = new Rig(file, parts);
            Rig codes = new Rig(file, parts.with(Compute.Precision.EIGHT_BIT).workers(2))) {
          float[] expected = floats.logits(tokens(5), 30);
          assertThat(Rig.error(expected, codes.logits(tokens(5), 30))).isLessThan(5e-3);
          assertThat(Rig.error(expected, codes.logits(tokens(5), 1))).isLessThan(5e-3);
        }
      }
    }
  }

  @Test
  void tokensOnDiskAreAttendedTo() {
    try (ModelFile file = open("deepseek2_mla");
        Rig inMemory = new Rig(file, Rig.Parts.USUAL);
        Rig onDisk = new Rig(file, Rig.Parts.USUAL.resident(16))) {
      float[] expected = inMemory.logits(tokens(2), 6);
      assertThat(Rig.error(expected, onDisk.logits(tokens(2), 6))).isLessThan(1e-11);
    }
  }

  @Test
  void aRowIsAllThatIsCachedOfAToken() {
    try (ModelFile file = open("deepseek2_mla")) {
      ModelSpec spec = Families.spec(file);
      assertThat(spec.kvLayout(Formats.F16, Formats.F16).tokenBytes(1)).isEqualTo(2 * 576);
      assertThat(spec.kvLayout(Formats.Q8_0, Formats.Q8_0).tokenBytes(1)).isEqualTo(18 * 34);
      assertThat(spec.kvLayout(Formats.F16, Formats.F16).bytes(64)).isLessThan(2 * 64 * 2 * 600);
    }
  }

  @Test
  void whatNeedsKeysAndValuesApartIsRefused() {
    try (ModelFile file = open("deepseek2_mla")) {
      ModelSpec spec = Families.spec(file);
      KvLayout layout = spec.kvLayout(Formats.F16, Formats.F16);
      for (String recipe :
          List.of(
              "think(50)",
              "score=critical(8) budget=uniform(40) action=evict when=prompt",
              "score=h2o(8) budget=uniform(40) action=quantise(k=q8_0,v=q4_0) when=block(8)")) {
        assertThatThrownBy(() -> layout.withPolicy(Recipe.of(recipe)))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("needs keys and values apart");
      }
      assertThatThrownBy(() -> layout.withTransform(KvTransform.ROTATED))
          .hasMessageContaining("not keys in F16 and values in F16, rotated");
      assertThatThrownBy(() -> spec.kvLayout(Formats.Q8_0, Formats.F16))
          .hasMessageContaining("not keys in Q8_0 and values in F16. F16 or Q8_0 for both");
      assertThatThrownBy(() -> spec.kvLayout(KvFormat.parse("k=qjl,v=f16")))
          .hasMessageContaining("cannot be sketched");
    }
  }

  /** Recipes that go by positions, keys, attention weights or queries see one head. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "score=streaming(4) budget=uniform(40) action=evict when=block(8)",
        "score=keydiff budget=uniform(40) action=evict when=block(8)",
        "score=h2o(8) budget=uniform(40) action=nearest when=block(8)",
        "score=h2o(8) budget=uniform(40) action=quantise(q8_0) when=block(8)",
        "score=expected budget=uniform(40) action=evict when=block(8)",
        "score=window(8) budget=uniform(40) action=evict when=block(8)"
      })
  void recipesForgetTokens(String recipe) {
    try (ModelFile file = open("deepseek2_mla");
        Rig full = new Rig(file, Rig.Parts.USUAL.with(Formats.F16));
        Rig rig = new Rig(file, Rig.Parts.USUAL.with(Formats.F16), Recipe.of(recipe))) {
      float[] expected = full.logits(tokens(8), 6);
      float[] actual = rig.logits(tokens(8), 6);
      assertThat(row(actual, 30, rig)).isEqualTo(row(expected, 30, rig));
      assertThat(Rig.error(expected, actual)).isPositive().isLessThan(1);
    }
  }

  /** Looks at all that it is shown of a step. */
  private static final class Looker implements KvPolicy, StepObserver {
    final AtomicInteger rows = new AtomicInteger();

    @Override
    public String name() {
      return "looker";
    }

    @Override
    public StepObserver observer() {
      return this;
    }

    @Override
    public void compress(KvCache cache) {}

    @Override
    public boolean looks(int layer) {
      return true;
    }

    @Override
    public int weightRows(int layer) {
      return 3;
    }

    @Override
    public void observe(CachedHead head, int position, Matrix weights) {
      assertThat(weights.rows()).isEqualTo(head.heads().group());
      for (int row = 0; row < weights.rows(); row++) {
        double sum = 0;
        for (int c = 0; c <= position; c++) {
          sum += weights.data().get(ValueLayout.JAVA_FLOAT, weights.rowOffset(row) + 4L * c);
        }
        assertThat(sum).isEqualTo(1, within(1e-5));
      }
    }

    @Override
    public void observe(CachedHead head, LayerStep step) {
      int size = head.keySize();
      float[] queries = new float[head.heads().group() * size];
      float[] before = new float[queries.length];
      float[] key = new float[size];
      float[] back = new float[size];
      for (int row = 0; row < step.rows(); row++) {
        rows.incrementAndGet();
        step.queries(row, 0, queries);
        step.unrotatedQueries(row, 0, before);
        QueryFrame.Backwards there = step.frame().from(step.position(row), 1);
        for (int i = 0; i < head.count(); i++) {
          head.key(i, key);
          there.turn(0, key, back);
          for (int g = 0; g < head.heads().group(); g++) {
            double expected = 0;
            double actual = 0;
            for (int c = 0; c < size; c++) {
              expected += (double) queries[g * size + c] * key[c];
              actual += (double) before[g * size + c] * back[c];
            }
            assertThat(actual).isEqualTo(expected, within(1e-3));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek2_lite", "deepseek2_v3"})
  void lookingShowsWhatAttentionComputesWith(String name) {
    Looker looker = new Looker();
    try (ModelFile file = open(name);
        Rig plain = new Rig(file, Rig.Parts.USUAL);
        Rig looked = new Rig(file, Rig.Parts.USUAL, looker)) {
      assertThat(looked.logits(tokens(9), 7)).isEqualTo(plain.logits(tokens(9), 7));
      assertThat(looker.rows.get()).isEqualTo(TOKENS * looked.spec.layers().size());
    }
  }
}
