package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.TestData;
import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvBounds;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.RetentionGates;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Gates that a file beside the model holds say for how long tokens are kept. */
class RetentionGateFileTest {
  private static final int UNITS = 6;
  private static final int KEPT = 40;
  private static final int BLOCK = 8;

  @TempDir private Path folder;
  private ModelFile file;
  private ModelSpec spec;
  private Path beside;

  /** What was written, by tensor. */
  private final Map<String, float[]> gates = new HashMap<>();

  @BeforeEach
  void open() throws IOException {
    Path model = folder.resolve("model.gguf");
    Files.copy(TestData.path("models/stories260K.gguf"), model);
    file = ModelFile.open(model);
    spec = Families.spec(file);
    beside = folder.resolve("model.gguf.trim-kv.gguf");
  }

  @AfterEach
  void close() {
    file.close();
  }

  private void write(int width, int without) {
    List<TensorInfo> tensors = new ArrayList<>();
    for (int l = 0; l < spec.layers().size(); l++) {
      long kvHeads = spec.layers().get(l).attention().kvHeads();
      String name = "blk." + l + ".retention_";
      tensors.add(tensor(name + "in.weight", width, UNITS));
      tensors.add(tensor(name + "in.bias", UNITS));
      tensors.add(tensor(name + "out.weight", UNITS, kvHeads));
      tensors.add(tensor(name + "out.bias", kvHeads));
    }
    if (without >= 0) {
      tensors.remove(without);
    }
    Random random = new Random(3);
    try (GgufWriter writer =
            GgufWriter.create(
                beside,
                new MetadataBuilder().string("general.architecture", "trim-kv").build(beside),
                tensors);
        Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : tensors) {
        float[] numbers = new float[(int) tensor.values()];
        for (int i = 0; i < numbers.length; i++) {
          numbers[i] = (float) random.nextGaussian() / 5;
        }
        gates.put(tensor.name(), numbers);
        MemorySegment bytes = arena.allocate(tensor.bytes(), 64);
        MemorySegment.copy(numbers, 0, bytes, ValueLayout.JAVA_FLOAT, 0, numbers.length);
        writer.write(tensor, bytes);
      }
      writer.finish();
    }
  }

  private static TensorInfo tensor(String name, long... shape) {
    List<Long> sizes = new ArrayList<>();
    for (long size : shape) {
      sizes.add(size);
    }
    return new TensorInfo(name, Formats.F32, sizes);
  }

  private KvPolicy given(String recipe) {
    return ModelCompanions.given(Recipe.of(recipe), file, spec);
  }

  /** A recipe, and what its gates should have said, by the definition. */
  private final class Watched implements KvPolicy, StepObserver {
    final KvPolicy recipe;

    /** By layer and head, of each position; heads are looked at by several threads. */
    final Map<Integer, List<Double>> logs = new ConcurrentHashMap<>();

    Watched(KvPolicy recipe) {
      this.recipe = recipe;
    }

    @Override
    public String name() {
      return recipe.name();
    }

    @Override
    public KvBounds bounds() {
      return recipe.bounds();
    }

    @Override
    public StepObserver observer() {
      return this;
    }

    @Override
    public Optional<RetentionGates> gates() {
      return recipe.observer().gates();
    }

    @Override
    public boolean looks(int layer) {
      return recipe.observer().looks(layer);
    }

    @Override
    public int numbers(LayerLayout.Heads heads) {
      return recipe.observer().numbers(heads);
    }

    @Override
    public void observe(CachedHead head, LayerStep step) {
      recipe.observer().observe(head, step);
      for (int row = 0; row < step.rows(); row++) {
        double expected = log(head, Rig.floats(step.input().rows(row, row + 1)));
        assertThat((double) step.retention(row, head.kvHead()))
            .isNegative()
            .isEqualTo(expected, within(1e-4 * Math.abs(expected)));
        logs.computeIfAbsent(key(head), _ -> new ArrayList<>()).add(expected);
      }
    }

    static int key(CachedHead head) {
      return 100 * head.layer() + head.kvHead();
    }

    private double log(CachedHead head, float[] input) {
      String name = "blk." + head.layer() + ".retention_";
      double sum = gates.get(name + "out.bias")[head.kvHead()];
      for (int u = 0; u < UNITS; u++) {
        double x = gates.get(name + "in.bias")[u];
        for (int c = 0; c < input.length; c++) {
          x += (double) gates.get(name + "in.weight")[u * input.length + c] * input[c];
        }
        sum += gates.get(name + "out.weight")[head.kvHead() * UNITS + u] * x / (1 + Math.exp(-x));
      }
      return -Math.log1p(Math.exp(-sum));
    }

    @Override
    public void compress(KvCache cache) {
      recipe.compress(cache);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 10, 64})
  void tokensGoTheSoonerTheLessTheirGateRetains(int step) {
    write(spec.width(), -1);
    Watched policy =
        new Watched(
            given(
                "score=retention budget=uniform(%d) action=evict when=block(%d)"
                    .formatted(KEPT, BLOCK)));
    int[] tokens = Rig.tokens(120, 500, 1);
    Map<Integer, List<Integer>> held = new HashMap<>();
    try (Rig rig = new Rig(file, Rig.Parts.USUAL.workers(2), policy);
        SequenceState cache = rig.pool.sequence()) {
      for (int from = 0; from < tokens.length; from += step) {
        int to = Math.min(tokens.length, from + step);
        rig.transformer.forward(List.of(new Run(cache, tokens, from, to, 0)));
        cache.settle();
        for (int l = 0; l < spec.layers().size(); l++) {
          for (int h = 0; h < spec.layers().get(l).attention().kvHeads(); h++) {
            CachedHead head = cache.kv().head(l, h);
            List<Integer> expected =
                held.computeIfAbsent(Watched.key(head), _ -> new ArrayList<>());
            for (int position = from; position < to; position++) {
              expected.add(position);
            }
            if (expected.size() >= KEPT + BLOCK) {
              List<Double> logs = policy.logs.get(Watched.key(head));
              int last = to - 1;
              expected.sort(
                  Comparator.comparingDouble(position -> (last - position) * logs.get(position)));
              expected.subList(0, expected.size() - KEPT).clear();
              expected.sort(Comparator.naturalOrder());
            }
            List<Integer> kept = new ArrayList<>();
            for (int i = 0; i < head.count(); i++) {
              kept.add(head.position(i));
            }
            assertThat(kept).isEqualTo(expected);
          }
        }
      }
    }
  }

  @Test
  void gatesArePlannedWithActivations() {
    write(spec.width(), -1);
    KvPolicy policy = given("trim-kv(64)");
    KvLayout layout = spec.kvLayout(Formats.F16, Formats.F16);
    long gateBytes = policy.observer().gates().orElseThrow().bytes();
    assertThat(gateBytes).isGreaterThan(4L * spec.layers().size() * spec.width() * UNITS);
    assertThat(Workspace.bytes(spec, layout.withPolicy(policy), 8, 1))
        .isGreaterThanOrEqualTo(Workspace.bytes(spec, layout, 8, 1) + gateBytes);
  }

  @Test
  void saysWhatIsMissing() {
    assertThatThrownBy(() -> given("trim-kv"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("model.gguf.trim-kv.gguf")
        .hasMessageContaining("learned");
  }

  @ParameterizedTest
  @CsvSource({"65,-1,blk.0.retention_in.weight", "64,7,blk.1.retention_out.bias"})
  void gatesOfAnotherModelAreNotTaken(int width, int without, String tensor) {
    write(width, without);
    assertThatThrownBy(() -> given("trim-kv"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(tensor);
  }
}
