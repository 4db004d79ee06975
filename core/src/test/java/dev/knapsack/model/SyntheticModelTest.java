package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.error.UnsupportedFormatException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class SyntheticModelTest {
  @TempDir Path folder;

  static Stream<PublishedShape> shapes() {
    return PublishedShape.all().stream();
  }

  /** The same model with few and small layers. */
  static PublishedShape small(PublishedShape shape) {
    boolean experts = shape.experts() > 0;
    boolean attention = shape.heads() > 0;
    return new PublishedShape(
        shape.name(),
        shape.architecture(),
        512,
        64,
        6,
        attention ? 4 : 0,
        attention ? 2 : 0,
        attention ? 32 : 0,
        Math.min(96, shape.feedForward()),
        experts ? 4 : 0,
        experts ? 2 : 0,
        experts ? 96 : 0,
        1024,
        shape.ropeBase(),
        shape.normEpsilon(),
        shape.tied(),
        smallKeys(shape));
  }

  private static Map<String, Object> smallKeys(PublishedShape shape) {
    Map<String, Object> keys = new HashMap<>(shape.keys());
    // Narrower embeddings have larger numbers; the scale is to bring them to the same size.
    keys.computeIfPresent(
        "embedding_scale", (k, scale) -> (Double) scale * Math.sqrt(64.0 / shape.width()));
    keys.computeIfPresent("rope.dimension_count", (k, rotated) -> 16);
    keys.computeIfPresent("ssm.inner_size", (k, inner) -> 128);
    keys.computeIfPresent("ssm.time_step_rank", (k, heads) -> 4);
    keys.computeIfPresent("ssm.state_size", (k, state) -> 16);
    keys.computeIfPresent("attention.key_length_swa", (k, size) -> 16);
    keys.computeIfPresent("attention.value_length_swa", (k, size) -> 16);
    keys.computeIfPresent("rope.dimension_count_swa", (k, size) -> 16);
    keys.computeIfPresent("attention.shared_kv_layers", (k, layers) -> 1);
    keys.computeIfPresent("embedding_length_per_layer_input", (k, size) -> 32);
    keys.computeIfPresent("ssm.group_count", (k, groups) -> Math.min(2, (Integer) groups));
    keys.computeIfPresent("attention.q_lora_rank", (k, rank) -> 48);
    keys.computeIfPresent("attention.kv_lora_rank", (k, rank) -> 32);
    keys.computeIfPresent("attention.key_length_mla", (k, size) -> 32);
    keys.computeIfPresent("attention.value_length_mla", (k, size) -> 32);
    keys.computeIfPresent("expert_group_count", (k, groups) -> 2);
    keys.computeIfPresent("expert_group_used_count", (k, groups) -> 1);
    keys.replaceAll((k, value) ->
        value instanceof List<?> list && list.size() == shape.layers()
            ? list.subList(0, 6)
            : value);
    keys.computeIfPresent("feed_forward_length", (k, sizes) -> List.of(96, 96, 96, 96, 96, 192));
    keys.computeIfPresent(
        "attention.head_count_kv",
        (k, heads) ->
            ((List<?>) heads).stream().map(layer -> Math.min(2, (Integer) layer)).toList());
    return keys;
  }

  private Path write(PublishedShape shape, Format format, long seed) {
    Path file = folder.resolve(shape.name() + "-" + format.name() + "-" + seed + ".gguf");
    Budget budget = Budget.of("64MiB");
    new SyntheticModel(shape, format).write(file, seed, budget.account("synth"), Progress.NONE);
    assertThat(budget.used()).isZero();
    return file;
  }

  @ParameterizedTest
  @CsvSource({
    "llama-3.2-1b, 1235814400",
    "llama-3.2-3b, 3212749824",
    "llama-3.1-8b, 8030261248",
    "mistral-7b, 7248023552",
    "mixtral-8x7b, 46702792704",
    "qwen2.5-0.5b, 494032768",
    "qwen3-0.6b, 596049920",
    "qwen3-4b, 4022468096",
    "qwen3-30b-a3b, 30532122624",
    "smollm3-3b, 3075098624",
    "phi-3.5-mini, 3821079552",
    "gemma-3-1b, 999885952",
    "gemma-4-e2b, 4628569379",
    "granite-3.3-2b, 2533539840",
    "gpt-oss-20b, 20914757184",
    "lfm2-1.2b, 1170340608",
    "mamba2-130m, 128989632",
    "falcon-h1-0.5b, 521411104",
    "granite-4.0-h-1b, 1461538368",
    "qwen3.5-0.8b, 752393024",
    "qwen3.5-35b-a3b, 34660610688",
    "glm-4.5-air, 106852251264",
    "deepseek-v3, 671026419200",
    "ernie-4.5-21b-a3b, 21825437888",
  })
  void hasAsManyParametersAsThePublishedModel(String name, long parameters) {
    List<TensorInfo> tensors =
        new SyntheticHeader(PublishedShape.named(name), Formats.F16).tensors();
    assertThat(
            tensors.stream()
                .filter(t -> !t.name().startsWith("rope_"))
                .mapToLong(TensorInfo::values)
                .sum())
        .isEqualTo(parameters);
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void opensAsAModelOfItsFamily(PublishedShape published) {
    PublishedShape shape = small(published);
    try (ModelFile file = ModelFile.open(write(shape, Formats.Q4_0, 1))) {
      ModelSpec spec = Families.spec(file);
      assertThat(spec.family()).isEqualTo(shape.architecture());
      assertThat(spec.layers()).hasSize(6);
      assertThat(spec.tiedOutput()).isEqualTo(shape.tied());
      assertThat(spec.layers().getLast().experts() != null).isEqualTo(shape.experts() > 0);
      assertThat(WeightLayout.of(file, spec).layers()).hasSize(6);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void hasATokenizerOfItsVocabulary(PublishedShape published) {
    PublishedShape shape = small(published);
    Path path = write(shape, Formats.Q8_0, 1);
    try (ModelFile file = ModelFile.open(path)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      assertThat(tokenizer.size()).isEqualTo(512);
      int[] tokens = tokenizer.encode("the thing, är 日本", false, false);
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      for (int token : tokens) {
        bytes.writeBytes(tokenizer.bytes(token, false));
      }
      assertThat(bytes.toString(StandardCharsets.UTF_8)).isEqualTo("the thing, är 日本");
      assertThat(tokenizer.isControl(tokenizer.bos())).isTrue();
    }
  }

  @ParameterizedTest
  @CsvSource({"F32", "F16", "Q8_0", "Q4_0", "Q5_1", "IQ4_NL", "MXFP4"})
  void weightsAreNormalAndDifferFromLayerToLayer(String name) {
    Format format = Formats.byName(name);
    PublishedShape shape = small(PublishedShape.named("llama-3.2-1b"));
    try (ModelFile file = ModelFile.open(write(shape, format, 7));
        Arena arena = Arena.ofConfined()) {
      float[] first = read(file, "blk.0.ffn_down.weight", arena);
      float[] second = read(file, "blk.1.ffn_down.weight", arena);
      double squares = 0;
      double products = 0;
      double sum = 0;
      for (int i = 0; i < first.length; i++) {
        sum += first[i];
        squares += first[i] * first[i];
        products += first[i] * second[i];
      }
      assertThat(file.tensors().get("blk.0.ffn_down.weight").format()).isEqualTo(format);
      assertThat(sum / first.length).isCloseTo(0, within(0.01));
      assertThat(squares / first.length * 96).isCloseTo(1, within(0.1));
      assertThat(Math.abs(products / squares)).isLessThan(0.06);
      assertThat(read(file, "blk.0.ffn_norm.weight", arena)).containsOnly(1);
      assertThat(read(file, "output_norm.weight", arena)).containsOnly(1, -1);
    }
  }

  @Test
  void mixesFormatsAsPublishedFilesDo() {
    SyntheticHeader tied = new SyntheticHeader(PublishedShape.named("llama-3.2-1b"), Formats.Q4_0);
    assertThat(format(tied, "token_embd.weight")).isEqualTo(Formats.Q6_K);
    assertThat(format(tied, "blk.3.attn_q.weight")).isEqualTo(Formats.Q4_0);
    SyntheticHeader untied =
        new SyntheticHeader(PublishedShape.named("llama-3.1-8b"), Formats.Q4_K);
    assertThat(format(untied, "token_embd.weight")).isEqualTo(Formats.Q4_K);
    assertThat(format(untied, "output.weight")).isEqualTo(Formats.Q6_K);
    SyntheticHeader experts =
        new SyntheticHeader(PublishedShape.named("gpt-oss-20b"), Formats.MXFP4);
    assertThat(format(experts, "blk.0.ffn_up_exps.weight")).isEqualTo(Formats.MXFP4);
    assertThat(format(experts, "blk.0.attn_q.weight")).isEqualTo(Formats.Q8_0);
    assertThat(format(experts, "blk.0.ffn_gate_inp.weight")).isEqualTo(Formats.F32);
    SyntheticHeader narrow =
        new SyntheticHeader(PublishedShape.named("qwen2.5-0.5b"), Formats.Q4_K);
    assertThat(format(narrow, "blk.0.attn_q.weight")).isEqualTo(Formats.Q8_0);
    assertThat(format(narrow, "blk.0.ffn_down.weight")).isEqualTo(Formats.Q4_K);
  }

  private static Format format(SyntheticHeader header, String name) {
    return header.tensors().stream()
        .filter(t -> t.name().equals(name))
        .findFirst()
        .orElseThrow()
        .format();
  }

  @Test
  void theSameSeedGivesTheSameFileAndAnotherSeedAnother() throws IOException {
    PublishedShape shape = small(PublishedShape.named("granite-3.3-2b"));
    byte[] once = Files.readAllBytes(write(shape, Formats.Q4_0, 3));
    byte[] again = Files.readAllBytes(write(shape, Formats.Q4_0, 3));
    byte[] other = Files.readAllBytes(write(shape, Formats.Q4_0, 4));
    assertThat(again).isEqualTo(once);
    assertThat(other).hasSameSizeAs(once).isNotEqualTo(once);
  }

  @Test
  void leasesWhatItSaysAndNoMore() {
    SyntheticModel model =
        new SyntheticModel(small(PublishedShape.named("qwen3-4b")), Formats.Q4_0);
    Path file = folder.resolve("tight.gguf");
    Budget enough = Budget.ofBytes((model.memory() + 4095) / 4096 * 4096);
    model.write(file, 1, enough.account("synth"), Progress.NONE);
    assertThat(file).exists();
    Path none = folder.resolve("none.gguf");
    Budget tooSmall = Budget.ofBytes(model.memory() / 2);
    assertThatThrownBy(() -> model.write(none, 1, tooSmall.account("synth"), Progress.NONE))
        .isInstanceOf(BudgetExceededException.class);
    assertThat(none).doesNotExist();
    assertThat(tooSmall.used()).isZero();
  }

  @Test
  void readsShapesAsPeopleWriteThem() {
    assertThat(SyntheticModel.of("Llama-3.2-1B:q8_0").format()).isEqualTo(Formats.Q8_0);
    assertThat(SyntheticModel.of("qwen3-4b").format()).isEqualTo(Formats.Q4_0);
    assertThatThrownBy(() -> SyntheticModel.of("llama-9"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'llama-9'")
        .hasMessageContaining("llama-3.2-1b");
    assertThatThrownBy(() -> SyntheticModel.of("qwen3-4b:q1"))
        .isInstanceOf(UnsupportedFormatException.class);
    // A format of the KV cache alone.
    assertThatThrownBy(() -> SyntheticModel.of("qwen3-4b:bfp4").bytes())
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("'BFP4'");
  }

  static float[] read(ModelFile file, String name, Arena arena) {
    TensorInfo tensor = file.tensors().get(name);
    MemorySegment stored = arena.allocate(tensor.bytes(), 4096);
    file.read(tensor, 0, stored);
    MemorySegment plain = arena.allocate(tensor.values() * Float.BYTES, 4);
    tensor.format().decode(stored, 0, plain, 0, tensor.values());
    return plain.toArray(ValueLayout.JAVA_FLOAT);
  }
}
