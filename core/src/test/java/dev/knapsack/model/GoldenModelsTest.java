package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.cache.Fingerprint;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.SequenceState;
import dev.knapsack.cache.store.CacheStore;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Compares logits with those that other engines computed. */
@Execution(ExecutionMode.CONCURRENT)
class GoldenModelsTest {
  static final List<String> FLOAT_MODELS =
      List.of(
          "llama",
          "llama_bias",
          "llama_ropefreqs",
          "llama_moe",
          "llama_q",
          "mistral3",
          "qwen2",
          "qwen2moe",
          "qwen3",
          "qwen3moe",
          "smollm3",
          "granite",
          "phi3_long",
          "phi3_short",
          "phi3_swa",
          "gemma2",
          "gemma3",
          "gemma3n",
          "gemma4",
          "gemma4_moe",
          "gpt-oss",
          "lfm2",
          "lfm2moe",
          "mamba2",
          "mamba2_long",
          "falcon-h1",
          "granitehybrid",
          "granitehybrid_moe",
          "mamba",
          "jamba",
          "nemotron_h",
          "nemotron_h_moe",
          "plamo2",
          "rwkv7",
          "arwkv7",
          "ernie4_5",
          "ernie4_5-moe",
          "seed_oss",
          "glm4",
          "glm4moe",
          "minimax-m2",
          "llama4",
          "smallthinker",
          "exaone4",
          "olmo2",
          "apertus",
          "starcoder2",
          "cohere2",
          "hunyuan-dense",
          "bitnet",
          "qwen35",
          "qwen35_long",
          "qwen35_mtp",
          "qwen35moe",
          "qwen3next",
          "kimi-linear",
          "kimi-linear_long",
          "deepseek2_lite",
          "deepseek2_mla",
          "deepseek2_v3");

  /** Those whose tokens see all of a text. */
  static final List<String> WHOLE_TEXT_MODELS = List.of("llada", "llada-moe", "dream");

  static final List<String> QUANTISED_MODELS =
      List.of(
          "llama_bf16",
          "llama_f16",
          "llama_iq4_nl",
          "llama_iq4_xs",
          "llama_mxfp4",
          "llama_q2_k",
          "llama_q3_k",
          "llama_q4_0",
          "llama_q4_1",
          "llama_q4_k",
          "llama_q4_k_m",
          "llama_q5_0",
          "llama_q5_1",
          "llama_q5_k",
          "llama_q6_k",
          "llama_q8_0",
          "gpt-oss_mxfp4");

  private static final double FLOAT = 1e-9;
  private static final double HALF_CACHE = 2e-5;
  private static final double EIGHT_BIT = 5e-3;
  private static final double EIGHT_BIT_OF_FOUR = 2e-2;

  private static final List<KernelProvider> PROVIDERS = KernelProvider.here();

  /** Enough of the slow provider: all are held to it, kernel by kernel, by tests of their own. */
  private static final int TOKENS_OF_SCALAR = 8;

  /** So small that the tokens fill several, and that forks part in the middle of one. */
  private static final int PAGE_TOKENS = 8;

  /** The worst errors go there, for those who want more than a pass. */
  private static final Path FIGURES = Path.of("target", "golden-errors.tsv");

  @TempDir static Path stores;

  @BeforeAll
  static void startFigures() throws IOException {
    Files.createDirectories(FIGURES.getParent());
    Files.writeString(FIGURES, "family\tmodel\tway\terror\n");
  }

  @ParameterizedTest
  @FieldSource("FLOAT_MODELS")
  void floatModels(String name) throws IOException {
    try (Golden golden = new Golden(name, "logits.f32")) {
      for (KernelProvider provider : PROVIDERS) {
        try (Rig rig = golden.rig(Rig.Parts.USUAL.with(provider))) {
          if (provider == PROVIDERS.getLast()) {
            golden.checkSteps(rig, provider);
            golden.check("7 at a time", rig, golden.tokens, 7, FLOAT);
            golden.checkPrompt(rig);
          } else {
            golden.check(
                "one step", rig, golden.tokensFor(provider), rig.workspace.tokens(), FLOAT);
          }
        }
      }
      Rig.Parts half = Rig.Parts.USUAL.with(PROVIDERS.getLast()).with(Formats.F16);
      try (Rig rig = golden.rig(half)) {
        golden.check("F16 cache", rig, golden.tokens, 20, HALF_CACHE);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("WHOLE_TEXT_MODELS")
  void wholeTextModels(String name) throws IOException {
    try (Golden golden = new Golden(name, "logits.f32")) {
      for (KernelProvider provider : PROVIDERS) {
        try (Rig rig = golden.rig(Rig.Parts.USUAL.with(provider))) {
          golden.check("one step", rig, golden.tokens, golden.tokens.length, FLOAT);
        }
      }
    }
  }

  @ParameterizedTest
  @FieldSource("QUANTISED_MODELS")
  void quantisedModels(String name) throws IOException {
    double eightBit = name.endsWith("mxfp4") ? EIGHT_BIT_OF_FOUR : EIGHT_BIT;
    try (Golden golden = new Golden(name, "logits_dequant.f32")) {
      for (KernelProvider provider : PROVIDERS) {
        Rig.Parts parts = Rig.Parts.USUAL.with(provider);
        try (Rig rig = golden.rig(parts)) {
          golden.checkSteps(rig, provider);
        }
        try (Rig rig = golden.rig(parts.with(Compute.Precision.EIGHT_BIT))) {
          golden.check("8-bit activations", rig, golden.tokensFor(provider), 20, eightBit);
        }
      }
    }
  }

  static float[] numbers(Path path) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    float[] numbers = new float[bytes.remaining() / 4];
    bytes.asFloatBuffer().get(numbers);
    return numbers;
  }

  static int[] tokens(Path path) throws IOException {
    return Arrays.stream(Files.readString(path).replaceAll("[^0-9,]", "").split(","))
        .mapToInt(Integer::parseInt)
        .toArray();
  }

  private static final class Golden implements AutoCloseable {
    final String name;
    final ModelFile file;
    final int[] tokens;
    final float[] logits;

    /** By way of computing them. */
    final Map<String, Double> worstErrors = new LinkedHashMap<>();

    Golden(String name, String logits) throws IOException {
      Path folder = TestData.path("golden/" + name);
      this.name = name;
      this.tokens = GoldenModelsTest.tokens(folder.resolve("tokens.json"));
      this.logits = GoldenModelsTest.numbers(folder.resolve(logits));
      this.file = ModelFile.open(folder.resolve("model.gguf"));
    }

    Rig rig(Rig.Parts parts) {
      return new Rig(file, parts);
    }

    int[] tokensFor(KernelProvider provider) {
      return provider == KernelProvider.SCALAR ? Arrays.copyOf(tokens, TOKENS_OF_SCALAR) : tokens;
    }

    /** In as few steps as can be, and token by token where that is another order of sums. */
    void checkSteps(Rig rig, KernelProvider provider) {
      check("one step", rig, tokensFor(provider), rig.workspace.tokens(), FLOAT);
      if (provider != KernelProvider.SCALAR) {
        check("token by token", rig, tokens, 1, FLOAT);
      }
    }

    void check(String way, Rig rig, int[] some, int step, double tolerance) {
      check(way, rig.logits(some, step), tolerance);
    }

    private void check(String way, float[] actual, double tolerance) {
      double error = Rig.error(Arrays.copyOf(logits, actual.length), actual);
      worstErrors.merge(way, error, Math::max);
      assertThat(error).as("%s, %s", name, way).isLessThan(tolerance);
    }

    /** No bit of a prompt depends on where steps end, nor on where its sequence has been. */
    void checkPrompt(Rig rig) {
      KvLayout layout = rig.pool.layout();
      KvPool pool =
          rig.pool.beside(
              new KvLayout(
                  layout.layers(),
                  layout.keyFormat(),
                  layout.valueFormat(),
                  layout.recent(),
                  layout.policy(),
                  PAGE_TOKENS));
      float[] all;
      try (SequenceState state = pool.sequence()) {
        all = prompt(rig, state, tokens.length, rig.workspace.tokens());
      }
      check("one step", all, FLOAT);
      int middle = tokens.length / 2 + 1;
      float[] begin = Arrays.copyOf(all, middle * rig.spec.vocabulary());
      float[] rest = Arrays.copyOfRange(all, begin.length, all.length);
      Fingerprint fingerprint = new Fingerprint(name, name, "", "", "", "");
      CacheStore store = new CacheStore(stores, CacheStore.USUAL_BYTES);
      try (SequenceState state = pool.sequence();
          SequenceState restored = pool.sequence()) {
        state.prompt(middle);
        assertThat(prompt(rig, state, middle, 7)).as("%s, 7 at a time", name).isEqualTo(begin);
        store.save(
            name,
            state,
            Arrays.copyOf(tokens, middle),
            fingerprint,
            CacheStore.Precision.AS_STORED);
        try (SequenceState fork = state.fork()) {
          // Not settled: windows would not reach the middle any more.
          rig.transformer.forward(List.of(new Run(state, tokens, 0, PAGE_TOKENS + 1, 0)));
          assertThat(prompt(rig, fork, tokens.length, 1)).as("%s, forked", name).isEqualTo(rest);
        }
        assertThat(state.back(middle)).as("%s, gone back", name).isEqualTo(middle);
        assertThat(prompt(rig, state, tokens.length, 7)).as("%s, back", name).isEqualTo(rest);
        store.restore(name, restored, fingerprint, tokens.length, rig.spec.vocabulary());
        assertThat(prompt(rig, restored, tokens.length, 20))
            .as("%s, restored", name)
            .isEqualTo(rest);
      }
    }

    private float[] prompt(Rig rig, SequenceState state, int to, int step) {
      return rig.logits(state, tokens, to, step, run -> run.withKind(Run.Kind.PROMPT));
    }

    @Override
    public void close() throws IOException {
      String family = Families.spec(file).family();
      file.close();
      StringBuilder lines = new StringBuilder();
      worstErrors.forEach(
          (way, error) -> lines.append("%s\t%s\t%s\t%.1e%n".formatted(family, name, way, error)));
      Files.writeString(FIGURES, lines, StandardOpenOption.APPEND);
    }
  }
}
