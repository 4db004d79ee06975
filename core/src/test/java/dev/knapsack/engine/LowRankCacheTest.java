package dev.knapsack.engine;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.error.CacheFileException;
import dev.knapsack.error.CacheFileException.Problem;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.generation.Sampling;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Reduction;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.HeadBasesFile;
import dev.knapsack.model.ModelCompanions;
import dev.knapsack.model.ModelIdentity;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Workspace;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Hadamard;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Directions from a file beside the model, by which an engine holds its older tokens. */
class LowRankCacheTest {
  private static final int SIZE = 16;
  private static final int[] PROMPT = IntStream.range(0, 70).map(i -> i * 37 % 200).toArray();

  @TempDir Path folder;
  private final Budget budget = Budget.of("64MiB");
  private ModelFile file;
  private ModelSpec spec;
  private Path beside;

  @BeforeEach
  void open() {
    Path model = TinyModel.dense(folder, Formats.F16);
    file = ModelFile.open(model);
    spec = Families.spec(file);
    beside = ModelCompanions.path(model, HeadBases.FILE);
  }

  @AfterEach
  void everyByteIsGivenBack() {
    file.close();
    assertThat(budget.used()).isZero();
  }

  /** Directions that are those of channels, perhaps in another order and size. */
  private static final class Made implements HeadBasesFile.Source {
    private final Random random;

    Made(long seed) {
      random = new Random(seed);
    }

    @Override
    public HeadBasesFile.Squares keys(int layer) {
      return squares();
    }

    @Override
    public HeadBasesFile.Squares values(int layer) {
      return squares();
    }

    private HeadBasesFile.Squares squares() {
      float[] in = new float[2 * SIZE * SIZE];
      float[] out = new float[in.length];
      for (int h = 0; h < 2; h++) {
        List<Integer> order = new ArrayList<>(IntStream.range(0, SIZE).boxed().toList());
        Collections.shuffle(order, random);
        for (int i = 0; i < SIZE; i++) {
          int at = (h * SIZE + i) * SIZE + order.get(i);
          in[at] = 2 + i;
          out[at] = 1f / (2 + i);
        }
      }
      return new HeadBasesFile.Squares(in, out);
    }
  }

  private void write(long seed, String model) {
    HeadBasesFile.write(beside, model, spec.kvLayout(Formats.F16, Formats.F16), new Made(seed));
  }

  private KvPolicy given(String recipe) {
    return ModelCompanions.given(Recipe.of(recipe), file, spec);
  }

  private interface Use {
    void accept(Engine engine);
  }

  private void with(String recipe, Use use) {
    Plan plan = TinyModel.plan(1, 16, TinyModel.RESIDENT, Recipe.of(recipe));
    try (Engine engine = Engine.open(file, null, plan, new Host(budget), Engine.Options.usual())) {
      use.accept(engine);
    }
  }

  private static int[] greedy(Session session, int[] prompt) {
    try (Answer answer =
        session.start(
            Request.of(prompt)
                .withMaxTokens(20)
                .withSampling(Sampling.GREEDY)
                .withIgnoreEnd(true))) {
      answer.text();
      return answer.tokens();
    }
  }

  private int[] answer(String recipe) {
    int[][] tokens = new int[1][];
    with(
        recipe,
        engine -> {
          try (Session session = engine.session()) {
            tokens[0] = greedy(session, PROMPT);
          }
        });
    return tokens[0];
  }

  @Test
  void allDirectionsAnswerAsTheFullCacheAndHalfOfThemOtherwise() {
    write(1, ModelIdentity.of(file));
    int[] full = answer("full");
    assertThat(answer("cskv(100)")).isEqualTo(full);
    assertThat(answer("cskv(50)")).isNotEqualTo(full);
  }

  @Test
  void aSavedSessionGoesOnWithTheFileThatItWasMadeWithAndNoOther() {
    write(1, ModelIdentity.of(file));
    CacheStore store = new CacheStore(folder.resolve("saved"), CacheStore.USUAL_BYTES);
    int[] more = {3, 5, 7};
    int[][] expected = new int[1][];
    with(
        "cskv(50)",
        engine -> {
          try (Session session = engine.session()) {
            int[] answer = greedy(session, PROMPT);
            session.save(store, "a", CacheStore.Precision.AS_STORED);
            expected[0] = join(PROMPT, answer, more);
            expected[0] = greedy(session, expected[0]);
          }
        });
    int[] before = answer("cskv(50)");
    with(
        "cskv(50)",
        engine -> {
          try (Session session = engine.session()) {
            session.restore(store, "a");
            assertThat(session.cachedTokens()).isEqualTo(PROMPT.length + 19);
            assertThat(greedy(session, join(PROMPT, before, more))).isEqualTo(expected[0]);
          }
        });
    write(2, ModelIdentity.of(file));
    with(
        "cskv(50)",
        engine -> {
          try (Session session = engine.session()) {
            assertThatThrownBy(() -> session.restore(store, "a"))
                .asInstanceOf(InstanceOfAssertFactories.type(CacheFileException.class))
                .returns(Problem.RECIPE, CacheFileException::problem);
          }
        });
  }

  private static int[] join(int[]... parts) {
    return IntStream.range(0, parts.length).flatMap(p -> Arrays.stream(parts[p])).toArray();
  }

  @Test
  void directionsArePlannedWithActivationsAndOnlyThoseThatAreUsed() {
    write(1, ModelIdentity.of(file));
    KvLayout layout = spec.kvLayout(Formats.F16, Formats.F16);
    KvLayout half = layout.withPolicy(given("cskv(50)"));
    long bytes = half.policy().bounds().bases().orElseThrow().bytes(half);
    assertThat(bytes).isEqualTo(4L * TinyModel.LAYERS * 2 * 4 * (SIZE / 2) * SIZE);
    assertThat(Workspace.bytes(spec, half, 8, 1))
        .isEqualTo(Workspace.bytes(spec, layout, 8, 1) + bytes);
    KvLayout all = layout.withPolicy(given("cskv(100)"));
    assertThat(all.policy().bounds().bases().orElseThrow().bytes(all)).isZero();
  }

  /** What a head's vector becomes, when all of what is held of it is put back. */
  private static float[] kept(Reduction reduction, float[] vector) {
    float[] held = new float[reduction.held()];
    reduction.reduce(vector, held);
    float[] left = new float[vector.length];
    reduction.restore(held, left);
    return left;
  }

  /** Rotated heads, and numbers of a format in blocks, are reduced to the same. */
  @ParameterizedTest
  @ValueSource(strings = {"cskv(50)", "cskv(50,f8_e4m3)"})
  void whateverIsDoneToHeadsTheSameIsLeft(String recipe) {
    write(1, ModelIdentity.of(file));
    KvLayout plain = spec.kvLayout(KvFormat.of(Formats.F16, Formats.F16)).withPolicy(given(recipe));
    KvLayout rotated = plain.withTransform(KvTransform.ROTATED);
    HeadBases bases = plain.policy().bounds().bases().orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      List<List<HeadBases.Head>> one = bases.read(plain, arena.allocate(bases.bytes(plain), 64));
      List<List<HeadBases.Head>> other =
          bases.read(rotated, arena.allocate(bases.bytes(rotated), 64));
      Random random = new Random(5);
      for (int l = 0; l < TinyModel.LAYERS; l++) {
        for (int h = 0; h < 2; h++) {
          float[] vector = new float[SIZE];
          for (int c = 0; c < SIZE; c++) {
            vector[c] = (float) random.nextGaussian();
          }
          float[] left = kept(Objects.requireNonNull(one.get(l).get(h).keys()), vector);
          int lost = 0;
          for (int c = 0; c < SIZE; c++) {
            lost += left[c] == 0 ? 1 : 0;
            assertThat(left[c]).isCloseTo(left[c] == 0 ? 0 : vector[c], within(1e-5f));
          }
          assertThat(lost).isEqualTo(SIZE / 2);
          Hadamard.rotate(vector, 0, SIZE);
          float[] turned = kept(Objects.requireNonNull(other.get(l).get(h).keys()), vector);
          Hadamard.rotate(turned, 0, SIZE);
          assertThat(turned).containsExactly(left, within(1e-5f));
        }
      }
    }
  }

  @Test
  void aFileThatIsMissingDamagedOrOfAnotherModelIsRefused() throws IOException {
    assertThatThrownBy(() -> given("cskv"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(beside.toString())
        .hasMessageContaining("'knapsack calibrate MODEL'");
    write(1, "0123456789abcdef");
    assertThatThrownBy(() -> given("cskv"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("other weights");
    write(1, ModelIdentity.of(file));
    KvPolicy given = given("cskv");
    KvLayout layout = spec.kvLayout(Formats.F16, Formats.F16).withPolicy(given);
    HeadBases bases = given.bounds().bases().orElseThrow();
    write(2, ModelIdentity.of(file));
    try (Arena arena = Arena.ofConfined()) {
      assertThatThrownBy(() -> bases.read(layout, arena.allocate(bases.bytes(layout), 64)))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("has changed");
    }
    byte[] bytes = Files.readAllBytes(beside);
    int at = new String(bytes, ISO_8859_1).indexOf("kv_values_in");
    bytes[at] = 'q';
    Files.write(beside, bytes);
    assertThatThrownBy(() -> given("cskv"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("blk.0.kv_values_in");
  }
}
