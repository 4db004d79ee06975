package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.TestData;
import dev.knapsack.file.ModelFile;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
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

  private static final List<KernelProvider> PROVIDERS = KernelProvider.here();

  /** Where the figures go, for those who want more than a pass. */
  private static final Path FIGURES = Path.of("target", "golden-errors.tsv");

  @BeforeAll
  static void startFigures() throws IOException {
    Files.createDirectories(FIGURES.getParent());
    Files.writeString(FIGURES, "model\tarithmetic\ttokens at a time\terror\n");
  }

  @ParameterizedTest
  @FieldSource("FLOAT_MODELS")
  void floatModels(String name) throws IOException {
    Golden golden = new Golden(name, "logits.f32");
    for (KernelProvider provider : PROVIDERS) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider);
      golden.check(provider + ", F32 cache", parts, FLOAT);
      golden.check(provider + ", F16 cache", parts.with(Formats.F16), HALF_CACHE, 20);
    }
  }

  @ParameterizedTest
  @FieldSource("WHOLE_TEXT_MODELS")
  void wholeTextModels(String name) throws IOException {
    Golden golden = new Golden(name, "logits.f32");
    for (KernelProvider provider : PROVIDERS) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider);
      golden.check(provider + ", all tokens", parts, FLOAT, golden.tokens.length);
    }
  }

  @ParameterizedTest
  @FieldSource("QUANTISED_MODELS")
  void quantisedModels(String name) throws IOException {
    Golden golden = new Golden(name, "logits_dequant.f32");
    double eightBit = name.endsWith("mxfp4") ? 2e-2 : EIGHT_BIT;
    for (KernelProvider provider : PROVIDERS) {
      Rig.Parts parts = Rig.Parts.USUAL.with(provider);
      golden.check(provider + ", float activations", parts, FLOAT);
      golden.check(
          provider + ", 8-bit activations", parts.with(Compute.Precision.EIGHT_BIT), eightBit, 20);
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

  private record Golden(String name, Path model, int[] tokens, float[] logits) {
    Golden(String name, String logits) throws IOException {
      Path folder = TestData.path("golden/" + name);
      this(
          name,
          folder.resolve("model.gguf"),
          GoldenModelsTest.tokens(folder.resolve("tokens.json")),
          GoldenModelsTest.numbers(folder.resolve(logits)));
    }

    /** In as few steps as can be, and token by token. */
    void check(String what, Rig.Parts parts, double tolerance) throws IOException {
      check(what, parts, tolerance, Math.min(tokens.length, parts.tokens()));
      check(what, parts, tolerance, 1);
    }

    void check(String what, Rig.Parts parts, double tolerance, int step) throws IOException {
      try (ModelFile file = ModelFile.open(model);
          Rig rig = new Rig(file, parts)) {
        double error = Rig.error(logits, rig.logits(tokens, step));
        Files.writeString(
            FIGURES,
            "%s\t%s\t%d\t%.1e%n".formatted(name, what, step, error),
            StandardOpenOption.APPEND);
        assertThat(error).as("%s, %s, %d at a time", name, what, step).isLessThan(tolerance);
      }
    }
  }
}
