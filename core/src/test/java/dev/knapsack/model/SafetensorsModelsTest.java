package dev.knapsack.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.knapsack.TestData;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.SafetensorsFixture;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Formats;
import dev.knapsack.text.Tokenizer;
import dev.knapsack.text.Tokenizers;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The same models as GGUF files and as safetensors directories: tensors, tokens and logits. */
class SafetensorsModelsTest {
  private static final Set<String> PERMUTED =
      Set.of("llama", "mistral3", "granite", "smollm3", "granitehybrid", "llada");

  /** Tensors that directories have in one, where the GGUF file has them apart. */
  private static final Map<String, String> OTHERWISE =
      Map.of(
          "qwen3next",
          ".*attn_(qkv|gate)\\.weight",
          "deepseek2",
          ".*attn_[kv]_b\\.weight",
          "ernie4_5-moe",
          ".*_shexp\\.weight");

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama",
        "llama_bias",
        "llama_moe",
        "llama_bf16",
        "mistral3",
        "qwen2",
        "qwen2moe",
        "qwen3",
        "qwen3moe",
        "smollm3",
        "granite",
        "phi3_long",
        "phi3_swa",
        "gemma2",
        "gemma3",
        "olmo2",
        "seed_oss",
        "gpt-oss_mxfp4",
        "qwen3next",
        "qwen35",
        "qwen35moe",
        "lfm2",
        "lfm2moe",
        "granitehybrid",
        "granitehybrid_moe",
        "mamba",
        "mamba2",
        "glm4",
        "glm4moe",
        "deepseek2_v3",
        "exaone4",
        "ernie4_5",
        "cohere2",
        "starcoder2",
        "hunyuan-dense",
        "minimax-m2",
        "dream",
        "falcon-h1",
        "jamba",
        "nemotron_h",
        "nemotron_h_moe",
        "ernie4_5-moe",
        "llada"
      })
  void theSameModelBothWays(String name) throws IOException {
    Path path = TestData.path("golden/" + name + "/model.gguf");
    try (ModelFile gguf = ModelFile.open(path)) {
      SafetensorsFixture.write(gguf, folder, name.equals("qwen3moe") ? 3 : 1);
      try (ModelFile hub = ModelFile.open(folder)) {
        sameTensors(gguf, hub);
        sameTokens(gguf, hub);
        sameLogits(gguf, hub);
        sameRowsWhenWritten(gguf, hub);
      }
    }
  }

  /** What is written as GGUF has its rows where other readers of GGUF look for them. */
  private void sameRowsWhenWritten(ModelFile gguf, ModelFile hub) {
    Path written = folder.resolve("written.gguf");
    Budget budget = Budget.of("64MiB");
    try (WorkerTeam team = new WorkerTeam(1)) {
      new Quantizer(hub, Formats.F32, null)
          .write(written, budget.account("quantize"), team, Progress.NONE);
    }
    try (ModelFile file = ModelFile.open(written)) {
      assertThat(file.metadata().has(ModelFile.ROPE_PAIRS)).isFalse();
      for (TensorInfo tensor : gguf.tensors().values()) {
        TensorInfo other = file.tensors().get(tensor.name());
        if (other != null && tensor.name().matches(".*attn_[qk]\\..*")) {
          same(tensor, floats(gguf, tensor, tensor.bytes()), floats(file, other, other.bytes()));
        }
      }
    }
  }

  private static void sameTensors(ModelFile gguf, ModelFile hub) {
    String architecture = gguf.metadata().string("general.architecture");
    int layers = (int) hub.metadata().integer(architecture + ".block_count");
    Set<String> names = new TreeSet<>(gguf.tensors().keySet());
    names.removeIf(name -> name.matches(OTHERWISE.getOrDefault(architecture, "")));
    // Blocks that guess ahead are left out.
    names.removeIf(name -> WeightLayout.layer(name) >= layers);
    assertThat(hub.tensors().keySet()).containsAll(names);
    if (!OTHERWISE.containsKey(architecture)) {
      assertThat(hub.tensors()).hasSameSizeAs(names);
    }
    boolean permuted = PERMUTED.contains(gguf.metadata().string("general.architecture"));
    for (TensorInfo tensor : gguf.tensors().values()) {
      if (!names.contains(tensor.name())) {
        continue;
      }
      TensorInfo other = hub.tensors().get(tensor.name());
      assertThat(other.shape()).as(tensor.name()).isEqualTo(tensor.shape());
      if (permuted && tensor.name().matches(".*attn_[qk]\\..*")) {
        continue;
      }
      float[] expected = floats(gguf, tensor, tensor.bytes());
      same(tensor, expected, floats(hub, other, other.bytes()));
      if (!tensor.name().matches("blk\\.[1-9].*")) {
        // Odd pieces, so that reading starts and ends within numbers and blocks.
        same(tensor, expected, floats(hub, other, tensor.bytes() / 9 * 2 + 1));
      }
    }
  }

  /** Norms may have lost a bit where one was taken off and put on again; rates are logarithms. */
  private static void same(TensorInfo tensor, float[] expected, float[] actual) {
    float tolerance =
        tensor.name().endsWith("norm.weight") || tensor.name().endsWith("ssm_a") ? 1e-6f : 0;
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      if (!(Math.abs(expected[i] - actual[i]) <= tolerance * Math.max(1, Math.abs(expected[i])))) {
        fail("%s[%d]: %s, not %s", tensor.name(), i, actual[i], expected[i]);
      }
    }
  }

  private static float[] floats(ModelFile file, TensorInfo tensor, long piece) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.bytes());
      for (long at = 0; at < tensor.bytes(); at += piece) {
        long length = Math.min(piece, tensor.bytes() - at);
        assertThat(file.alignment(tensor, at)).isBetween(0L, 4095L);
        file.read(tensor, at, bytes.asSlice(at, length));
      }
      MemorySegment floats = arena.allocate(tensor.values() * Float.BYTES);
      tensor.format().decode(bytes, 0, floats, 0, tensor.values());
      return floats.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static void sameTokens(ModelFile gguf, ModelFile hub) {
    Tokenizer expected = Tokenizer.of(gguf);
    Tokenizer tokenizer = Tokenizer.of(hub);
    Tokenizer written = Tokenizers.of(hub.ggufMetadata(), hub.path());
    assertThat(written.size()).isEqualTo(expected.size());
    assertThat(tokenizer.size()).isEqualTo(expected.size());
    assertThat(tokenizer.bos()).isEqualTo(expected.bos());
    assertThat(tokenizer.eos()).isEqualTo(expected.eos());
    for (String text :
        List.of(
            "the other house", " In 1984, she said: what?\n\nNothing", "größe 日本 🎒", "", "  ")) {
      assertThat(tokenizer.encode(text, true, true))
          .as(text)
          .containsExactly(expected.encode(text, true, true))
          .containsExactly(written.encode(text, true, true));
    }
    assertThat(hub.metadata().string("tokenizer.chat_template")).isEqualTo("{{ messages }}");
  }

  private static void sameLogits(ModelFile gguf, ModelFile hub) {
    int[] tokens = {1, 17, 300, 42, 5, 260, 119, 64, 7, 280, 33, 150, 90, 12, 31, 200, 201, 202};
    float[] expected;
    try (Rig rig = new Rig(gguf, Rig.Parts.USUAL)) {
      expected = rig.logits(tokens, tokens.length);
    }
    try (Rig rig = new Rig(hub, Rig.Parts.USUAL)) {
      assertThat(Rig.error(expected, rig.logits(tokens, tokens.length))).isLessThan(1e-10);
    }
  }
}
