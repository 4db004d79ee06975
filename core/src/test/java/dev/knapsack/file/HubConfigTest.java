package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a directory leaves out, says as null or says otherwise, against the reference's reading. */
class HubConfigTest {
  @TempDir Path folder;

  private HubConfig config(String json) throws IOException {
    Files.writeString(folder.resolve("config.json"), json.replace('\'', '"'));
    return HubConfig.read(folder);
  }

  private Metadata metadata(String json) throws IOException {
    MetadataBuilder metadata = new MetadataBuilder();
    config(json).put(metadata, "made");
    return metadata.build(folder);
  }

  private static String pattern(Metadata metadata, String key) {
    return LongStream.of(metadata.integers(key))
        .mapToObj(flag -> flag == 0 ? "-" : "w")
        .collect(Collectors.joining());
  }

  /** Nothing is taken for another kind of value than it is, and the message names the key. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "hidden_size | '512' | must be a whole number, and is",
        "head_dim | 1.5 | must be a whole number, and is 1.5",
        "num_attention_heads | true | must be a whole number, and is",
        "vocab_size | 1e40 | must be a whole number, and is",
        "max_position_embeddings | [4096] | must be one value, and is",
        "rms_norm_eps | '1e-5' | must be a number, and is",
        "rope_theta | {} | must be one value, and is",
        "tie_word_embeddings | 'no' | must be true or false, and is",
        "use_sliding_window | 'yes' | must be true or false, and is",
        "layer_types | ['chunked_attention'] | supported are full_attention and sliding_attention",
        "layer_types | [null] | supported are full_attention and sliding_attention",
        "rope_scaling | 'linear' | must be an object",
        "rope_scaling | [4] | must be an object",
        "rope_parameters | 'default' | must be an object",
        "eos_token_id | [2, '3'] | must be the id of a token or a list of them, and has",
        "eos_token_id | '</s>' | must be the id of a token or a list of them, and has",
        "eos_token_id | [[2]] | must be the id of a token or a list of them, and has",
        "eos_token_id | 2.5 | must be the id of a token or a list of them, and has",
      })
  void whatIsOfAnotherKindIsRefusedByItsName(String key, String value, String problem) {
    String rest = key.equals("use_sliding_window") ? "" : "'use_sliding_window': 1, ";
    assertThatThrownBy(
            () -> {
              HubConfig config =
                  config(
                      "{'model_type': 'qwen2', 'num_hidden_layers': 1, %s'%s': %s}"
                          .formatted(rest, key, value));
              config.tied();
              config.ends();
              config.put(new MetadataBuilder(), "made");
            })
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(folder.resolve("config.json") + ": " + key)
        .hasMessageContaining(problem);
  }

  @Test
  void endTokensOfAnotherKindAreOfTheFileThatHasThem() throws IOException {
    Path generation = folder.resolve("generation_config.json");
    Files.writeString(generation, "{\"eos_token_id\": [2, null]}");
    HubConfig config = config("{'model_type': 'llama'}");
    assertThatThrownBy(config::ends)
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(generation + ": eos_token_id")
        .hasMessageContaining("and has null");
  }

  /** Values as transformers 5.18 prints them of a configuration made of its type alone. */
  @ParameterizedTest
  @CsvSource({
    "llama,          4096, 11008, 32, 32, 32, 128,   2048, 1e-6,    1e4,   -1",
    "olmo2,          4096, 11008, 32, 32, 32, 128,   2048, 1e-5,    1e4,   -1",
    "seed_oss,       4096, 27648, 64, 80,  8, 128, 524288, 1e-6,    1e4,   -1",
    "mistral,        4096, 14336, 32, 32,  8, 128, 131072, 1e-6,    1e4, 4096",
    "mixtral,        4096, 14336, 32, 32,  8, 128, 131072, 1e-5,    1e6,   -1",
    "ministral3,     4096, 14336, 34, 32,  8, 128, 262144, 1e-5,    1e6,   -1",
    "qwen2,          4096, 22016, 32, 32, 32, 128,  32768, 1e-6,    1e4,   -1",
    "qwen3,          4096, 22016, 32, 32, 32, 128,  32768, 1e-6,    1e4,   -1",
    "qwen2_moe,      2048,  5632, 24, 16, 16, 128,  32768, 1e-6,    1e4,   -1",
    "qwen3_moe,      2048,  6144, 24, 32,  4,  64,  32768, 1e-6,    1e4,   -1",
    "smollm3,        2048, 11008, 36, 16,  4, 128,  32768, 1e-6,    2e6,   -1",
    "granite,        4096, 11008, 32, 32, 32, 128,   2048, 1e-6,    1e4,   -1",
    "phi3,           3072,  8192, 32, 32, 32,  96,   4096, 1e-5,    1e4,   -1",
    "gemma2,         2304,  9216, 26,  8,  4, 256,   8192, 1e-6,    1e4, 4096",
    "gemma3_text,    2304,  9216, 26,  8,  4, 256, 131072, 1e-6,    1e6, 4096",
    "gpt_oss,        2880,  2880, 36, 64,  8,  64, 131072, 1e-5, 150000,  128",
    "qwen3_next,     2048,  5632, 48, 16,  2, 256,  32768, 1e-6,    1e4,   -1",
    "qwen3_5_text,   4096, 12288, 32, 16,  4, 256,  32768, 1e-6,    1e4,   -1",
    "falcon_h1,      4096, 14336, 32, 32,  8, 128,   8192, 1e-5,    1e4,   -1",
    "glm4,           4096, 13696, 40, 32,  2, 128, 131072, 1.5625e-7, 1e4, -1",
    "glm4_moe,       4096, 10944, 46, 96,  8,  42, 131072, 1e-5,    1e4,   -1",
    "exaone4,        4096, 16384, 32, 32, 32, 128,   2048, 1e-5,    1e4, 4096",
    "ernie4_5,       1024,  3072, 18, 16,  2, 128, 131072, 1e-5,    5e5,   -1",
    "ernie4_5_moe,   2560, 12288, 28, 20,  4, 128, 131072, 1e-5,    5e5,   -1",
    "hunyuan_v1_dense, 4096, 11008, 32, 32, 32, 128, 2048, 1e-5,    1e4,   -1",
    "minimax_m2,     3072,  1536, 62, 48,  8, 128, 196608, 1e-6,    5e6,   -1",
  })
  void whatIsLeftOutIsWhatTheReferenceTakes(
      String type,
      long width,
      long hidden,
      long layers,
      long heads,
      long kvHeads,
      long headSize,
      long context,
      double epsilon,
      double base,
      long window)
      throws IOException {
    Metadata metadata = metadata("{'model_type': '" + type + "'}");
    String arch = metadata.string("general.architecture") + ".";
    assertThat(metadata.integer(arch + "embedding_length")).isEqualTo(width);
    assertThat(metadata.integer(arch + "feed_forward_length")).isEqualTo(hidden);
    assertThat(metadata.integer(arch + "block_count")).isEqualTo(layers);
    assertThat(metadata.integer(arch + "attention.head_count")).isEqualTo(heads);
    assertThat(metadata.integer(arch + "attention.head_count_kv")).isEqualTo(kvHeads);
    assertThat(metadata.integer(arch + "attention.key_length")).isEqualTo(headSize);
    assertThat(metadata.integer(arch + "attention.value_length")).isEqualTo(headSize);
    assertThat(metadata.integer(arch + "context_length")).isEqualTo(context);
    assertThat(metadata.real(arch + "attention.layer_norm_rms_epsilon")).isEqualTo((float) epsilon);
    assertThat(metadata.real(arch + "rope.freq_base")).isEqualTo((float) base);
    assertThat(metadata.integer(arch + "attention.sliding_window", -1)).isEqualTo(window);
  }

  @ParameterizedTest
  @CsvSource({
    "granite, attention.scale, 1",
    "granite, embedding_scale, 1",
    "granite, residual_scale, 1",
    "granite, logit_scale, 1",
    "gemma2, attention.scale, 0.0625",
    "gemma3, attention.scale, 0.0625",
    "gemma2, attn_logit_softcapping, 50",
    "gemma2, final_logit_softcapping, 30",
    "gemma3, rope.freq_base_swa, 10000",
    "mixtral, expert_count, 8",
    "mixtral, expert_used_count, 2",
    "mixtral, expert_feed_forward_length, 14336",
    "qwen2_moe, expert_count, 60",
    "qwen2_moe, expert_used_count, 4",
    "qwen2_moe, expert_feed_forward_length, 1408",
    "qwen2_moe, expert_shared_feed_forward_length, 5632",
    "qwen3_moe, expert_count, 128",
    "qwen3_moe, expert_used_count, 8",
    "qwen3_moe, expert_feed_forward_length, 768",
    "gpt_oss, expert_count, 128",
    "gpt_oss, expert_used_count, 4",
    "gpt_oss, rope.scaling.factor, 32",
    "gpt_oss, rope.scaling.original_context_length, 4096",
    "ministral3, rope.scaling.factor, 16",
    "ministral3, attention.temperature_length, 16384",
  })
  void otherKeysToo(String type, String key, double value) throws IOException {
    Metadata metadata = metadata("{'model_type': '" + type + "'}");
    assertThat(metadata.real(metadata.string("general.architecture") + "." + key))
        .isEqualTo((float) value);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "qwen3_moe | 'num_local_experts': 4 | expert_count | 4",
        "gpt_oss | 'num_experts': 4 | expert_count | 4",
        "mistral | 'num_key_value_heads': null | attention.head_count_kv | 32",
        "mistral | 'sliding_window': null | attention.sliding_window | 0",
        "ministral3 | 'head_dim': null, 'hidden_size': 3200 | attention.key_length | 100",
        "llama | 'head_dim': 100 | attention.key_length | 100",
        "llama | 'rms_norm_eps': null | attention.layer_norm_rms_epsilon | 1e-6",
        "gemma2 | 'attn_logit_softcapping': null | attn_logit_softcapping | 0",
        "gemma2 | 'query_pre_attn_scalar': 144 | attention.scale | 0.08333333333333333",
        "llama | 'rope_theta': 5, 'rope_scaling': {'rope_type': 'linear', 'factor': 2,"
            + " 'rope_theta': 7} | rope.freq_base | 7",
        "llama | 'rope_scaling': {}, 'rope_parameters': {'rope_theta': 7} | rope.freq_base | 7",
        "gemma3_text | 'rope_parameters': {'full_attention': {'rope_theta': 7}} |"
            + " rope.freq_base_swa | 10000",
        "gemma3_text | 'rope_parameters': {'sliding_attention': {'rope_theta': 7}} |"
            + " rope.freq_base_swa | 7",
        "gemma3_text | 'rope_scaling': {'factor': 8, 'rope_type': 'linear'} | rope.scaling.factor |"
            + " 8",
        "phi3 | 'partial_rotary_factor': 0.7 | rope.dimension_count | 67",
        "minimax_m2 | 'rotary_dim': 64 | rope.dimension_count | 64",
        "glm4 | 'head_dim': 64 | rope.dimension_count | 32",
        "hunyuan_v1_dense | 'head_dim': 4, 'rope_scaling': {'type': 'dynamic', 'alpha': 3} |"
            + " rope.freq_base | 90000",
        "deepseek_v3 | 'rope_scaling': {'type': 'yarn', 'factor': 40, 'mscale': 1,"
            + " 'mscale_all_dim': 1} | rope.scaling.yarn_log_multiplier | 0.1",
        "deepseek_v3 | 'qk_nope_head_dim': 20, 'qk_rope_head_dim': 12 | attention.key_length | 32",
        "deepseek_v2 | 'q_lora_rank': null | attention.q_lora_rank | 0",
        "qwen3_next | 'linear_num_value_heads': 3 | ssm.inner_size | 384",
        "mamba | 'hidden_size': 40, 'time_step_rank': 'auto' | ssm.time_step_rank | 3",
        "mamba | 'hidden_size': 40, 'time_step_rank': 7 | ssm.time_step_rank | 7",
        "mamba2 | 'num_heads': 3, 'head_dim': 5 | ssm.inner_size | 15",
        "lfm2 | 'block_ff_dim': 1000, 'layer_types': ['conv'], 'num_hidden_layers': 1 |"
            + " feed_forward_length | 768",
        "lfm2 | 'block_auto_adjust_ff_dim': false, 'full_attn_idxs': [0], 'num_hidden_layers': 1 |"
            + " feed_forward_length | 12288",
        "lfm2 | 'block_ffn_dim_multiplier': null, 'full_attn_idxs': [], 'num_hidden_layers': 1 |"
            + " feed_forward_length | 8192",
        "granitemoehybrid | 'layer_types': ['mamba'], 'num_hidden_layers': 1,"
            + " 'num_local_experts': 0, 'shared_intermediate_size': 8 | feed_forward_length | 8",
        "llama | 'rope_scaling': {'type': 'yarn', 'factor': 4} |"
            + " rope.scaling.original_context_length | 2048",
        "qwen2 | 'rope_scaling': {'type': 'yarn', 'factor': null,"
            + " 'original_max_position_embeddings': 8192} | rope.scaling.factor | 4",
        "gemma3_text | 'original_max_position_embeddings': 4096, 'rope_scaling': {'rope_type':"
            + " 'yarn', 'factor': 4, 'original_max_position_embeddings': 8192} |"
            + " rope.scaling.original_context_length | 8192",
        "qwen2 | 'original_max_position_embeddings': 4096, 'rope_scaling': {'type': 'yarn',"
            + " 'factor': 4, 'original_max_position_embeddings': 8192} |"
            + " rope.scaling.original_context_length | 4096",
      })
  void nullAndOtherNamesMeanWhatTheyMeanToTheReference(
      String type, String keys, String key, double value) throws IOException {
    Metadata metadata = metadata("{'model_type': '" + type + "', " + keys + "}");
    assertThat(metadata.real(metadata.string("general.architecture") + "." + key))
        .isEqualTo((float) value);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "mistral | | 4096 | wwwwww",
        "mistral | 'sliding_window': 8, 'layer_types': ['full_attention'] | 8 | wwwwww",
        "qwen2 | 'use_sliding_window': true, 'max_window_layers': 4 | 4096 | ----ww",
        "qwen3 | 'use_sliding_window': true, 'sliding_window': 8 | 8 | ------",
        "qwen3 | 'use_sliding_window': true, 'layer_types': ['full_attention','sliding_attention',"
            + "'full_attention','full_attention','full_attention','sliding_attention'] | 4096 |"
            + " -w---w",
        "qwen2_moe | 'use_sliding_window': true, 'max_window_layers': 4 | 4096 | w-w---",
        "qwen3_moe | 'use_sliding_window': true | 4096 | wwwwww",
        "smollm3 | 'use_sliding_window': true, 'sliding_window': 8 | 8 | ---w--",
        "smollm3 | 'use_sliding_window': true, 'sliding_window': 8, 'no_rope_layers':"
            + " [0,1,1,1,1,0] | 8 | w----w",
        "gemma2 | | 4096 | w-w-w-",
        "gemma3_text | | 4096 | wwwww-",
        "gemma3_text | 'sliding_window_pattern': 2 | 4096 | w-w-w-",
        "gpt_oss | 'layer_types': ['full_attention','sliding_attention','full_attention',"
            + "'full_attention','full_attention','full_attention'] | 128 | -w----",
        "phi3 | 'sliding_window': 2047 | 2047 | wwwwww",
      })
  void windowsAreInTheLayersThatHaveThem(String type, String keys, long window, String layers)
      throws IOException {
    String json = "{'model_type': '%s', 'num_hidden_layers': 6%s}";
    Metadata metadata = metadata(json.formatted(type, keys == null ? "" : ", " + keys));
    String arch = metadata.string("general.architecture");
    assertThat(metadata.integer(arch + ".attention.sliding_window")).isEqualTo(window);
    assertThat(pattern(metadata, arch + ".attention.sliding_window_pattern")).isEqualTo(layers);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "llama | 'sliding_window': 8",
        "qwen2 | 'sliding_window': 8",
        "qwen2 | 'use_sliding_window': null",
        "qwen3_moe | 'use_sliding_window': false",
        "mixtral | 'sliding_window': null",
        "granite | 'use_sliding_window': true",
        "smollm3 | 'sliding_window': 8",
      })
  void noWindowWhereTheReferenceHasNone(String type, String key) throws IOException {
    Metadata metadata = metadata("{'model_type': '" + type + "', " + key + "}");
    assertThat(metadata.all().keySet()).noneMatch(k -> k.contains("sliding_window"));
  }

  @Test
  void layersWithoutARotaryEmbeddingAreThoseThatAreNamed() throws IOException {
    String json = "{'model_type': 'smollm3', 'num_hidden_layers': 6%s}";
    assertThat(pattern(metadata(json.formatted("")), "smollm3.rope.layers")).isEqualTo("www-ww");
    assertThat(
            pattern(
                metadata(json.formatted(", 'no_rope_layer_interval': 2")), "smollm3.rope.layers"))
        .isEqualTo("w-w-w-");
    assertThatThrownBy(() -> metadata(json.formatted(", 'no_rope_layers': [1]")))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("no_rope_layers: 1 flags for 6 layers");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "qwen3_next | | attention.recurrent_layers | www-",
        "qwen3_5 | 'full_attention_interval': 2 | attention.recurrent_layers | w-w-",
        "qwen3_5_moe | 'layer_types': ['full_attention', 'linear_attention', 'full_attention',"
            + " 'full_attention'] | attention.recurrent_layers | -w--",
        "jamba | 'attn_layer_period': 3, 'attn_layer_offset': 1 | attention.head_count_kv | -w--",
        "lfm2 | 'full_attn_idxs': [0, 3] | attention.head_count_kv | w--w",
        "granitemoehybrid | 'layers_block_type': ['mamba', 'attention', 'mamba', 'mamba'] |"
            + " attention.head_count_kv | -w--",
        "nemotron_h | 'hybrid_override_pattern': 'M*-*' | attention.head_count_kv | -w-w",
        "nemotron_h | 'hybrid_override_pattern': 'M*-*' | feed_forward_length | --w-",
        "nemotron_h | 'layers_block_type': ['moe', 'mlp', 'mamba', 'attention'] |"
            + " feed_forward_length | ww--",
      })
  void layersWithStatesAreThoseThatAreNamed(String type, String keys, String key, String layers)
      throws IOException {
    String json = "{'model_type': '%s', 'num_hidden_layers': 4%s}";
    Metadata metadata = metadata(json.formatted(type, keys == null ? "" : ", " + keys));
    String arch = metadata.string("general.architecture");
    assertThat(pattern(metadata, arch + "." + key)).isEqualTo(layers);
  }

  @Test
  void expertsAreOfTheArchitectureThatHasThem() throws IOException {
    String json = "{'model_type': 'nemotron_h', 'num_hidden_layers': 2, '%s': '%s'}";
    assertThat(metadata(json.formatted("hybrid_override_pattern", "M-")).all())
        .containsEntry("general.architecture", "nemotron_h")
        .doesNotContainKey("nemotron_h.expert_count");
    assertThat(metadata(json.formatted("hybrid_override_pattern", "ME")).all())
        .containsEntry("general.architecture", "nemotron_h_moe");
  }

  @Test
  void yarnsBoundsAreWholeUnlessTheFileSaysOtherwise() throws IOException {
    String json = "{'model_type': 'llama', 'rope_scaling': {'type': 'yarn', 'factor': 4%s}}";
    String key = "llama.rope.scaling.yarn_truncate";
    assertThat(metadata(json.formatted("")).has(key)).isFalse();
    assertThat(metadata(json.formatted(", 'truncate': true")).has(key)).isFalse();
    assertThat(metadata(json.formatted(", 'truncate': false")).flag(key)).isFalse();
    assertThat(metadata(json.formatted(", 'truncate': null")).flag(key)).isFalse();
    assertThat(metadata("{'model_type': 'gpt_oss'}").flag("gpt-oss.rope.scaling.yarn_truncate"))
        .isFalse();
  }

  @Test
  void llama3ScalingBecomesDivisors() throws IOException {
    HubConfig config =
        config(
            "{'model_type': 'llama', 'head_dim': 8, 'rope_theta': 100, 'rope_scaling':"
                + " {'rope_type': 'llama3', 'factor': 8, 'low_freq_factor': 1, 'high_freq_factor':"
                + " 4, 'original_max_position_embeddings': 32}}");
    // Turns within 32 tokens: 5.09, 1.61, 0.51, 0.16; kept from 4 on, divided below 1.
    float[] divisors = config.factors().get("rope_freqs.weight");
    assertThat(divisors).hasSize(4);
    assertThat(divisors[0]).isEqualTo(1);
    double keep = (32 / (2 * Math.PI) * Math.pow(100, -0.25) - 1) / 3;
    assertThat(divisors[1]).isEqualTo((float) (1 / ((1 - keep) / 8 + keep)), offset(1e-6f));
    assertThat(divisors[2]).isEqualTo(8);
    assertThat(divisors[3]).isEqualTo(8);
    assertThat(metadata(Files.readString(folder.resolve("config.json"))).all().keySet())
        .noneMatch(key -> key.contains("scaling"));
  }

  @Test
  void longRopesMagnitudeFollowsItsFactor() throws IOException {
    String json =
        "{'model_type': 'phi3', 'max_position_embeddings': 131072, 'rope_scaling': {'type': 'su',"
            + " 'long_factor': [2], 'short_factor': [1]%s}}";
    String key = "phi3.rope.scaling.attn_factor";
    double logarithm = Math.log(4096);
    assertThat(metadata(json.formatted("")).real(key))
        .isEqualTo(Math.sqrt(1 + Math.log(32) / logarithm), offset(1e-7));
    assertThat(metadata(json.formatted(", 'factor': 2")).real(key))
        .isEqualTo(Math.sqrt(1 + Math.log(2) / logarithm), offset(1e-7));
    assertThatThrownBy(() -> config(json.replace(", 'short_factor': [1]%s", "")).factors())
        .hasMessageContaining("short_factor: is missing");
  }

  @Test
  void dynamicScalingIsLeftOutAndSaid() throws IOException {
    HubConfig config =
        config("{'model_type': 'llama', 'rope_scaling': {'type': 'dynamic', 'factor': 2}}");
    config.put(new MetadataBuilder(), "made");
    assertThat(config.notes()).singleElement().asString().contains("past the 2,048 tokens");
  }

  @Test
  void endTokensAreThoseOfBothFiles() throws IOException {
    assertThat(config("{'model_type': 'llama', 'eos_token_id': [7, 9]}").ends())
        .containsExactly(7L, 9L);
    assertThat(
            config("{'model_type': 'gemma3', 'eos_token_id': [1, 106], 'text_config': {}}").ends())
        .containsExactly(1L, 106L);
    Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [4, 7]}");
    assertThat(config("{'model_type': 'llama', 'eos_token_id': 2}").ends())
        .containsExactly(4L, 7L, 2L);
    assertThat(config("{'model_type': 'llama', 'eos_token_id': null}").ends())
        .containsExactly(4L, 7L);
    Files.writeString(folder.resolve("generation_config.json"), "{}");
    assertThat(config("{'model_type': 'phi3'}").ends()).isEmpty();
    assertThat(config("{'model_type': 'phi3'}").usualEnd()).contains(32000L);
    assertThat(config("{'model_type': 'phi3', 'eos_token_id': null}").usualEnd()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "llama | 'hidden_act': 'gelu' | hidden_act: 'gelu'; models like llama",
        "gemma2 | 'hidden_activation': 'gelu' | hidden_activation: 'gelu'",
        "gemma2 | 'use_bidirectional_attention': true | tokens see those after",
        "mistral | 'num_hidden_layers': 1000000000 | num_hidden_layers: must be at most",
        "llama | 'rope_scaling': {'type': 'linear'} | rope_scaling: factor is missing",
        "lfm2 | 'num_hidden_layers': 1 | layer_types: is missing",
        "lfm2_moe | 'num_hidden_layers': 2, 'layer_types': ['conv'] | layer_types: 1 types for 2",
        "qwen3_next | 'layer_types': ['chunked_attention'], 'num_hidden_layers': 1 |"
            + " supported are full_attention and, for layers with states",
        "nemotron_h | 'num_hidden_layers': 2, 'hybrid_override_pattern': 'M' |"
            + " hybrid_override_pattern: must name a part for each of 2 layers",
        "falcon_h1 | 'mamba_rms_norm': true | norms before the gate are not supported",
        "deepseek_v2 | 'topk_method': 'group_limited_greedy' | topk_method: groups of experts",
        "ernie4_5_moe | 'moe_layer_end_index': 5 | moe_layer_end_index: models whose last layers",
        "starcoder2 | 'hidden_act': 'silu' | hidden_act: 'silu'; models like starcoder2",
      })
  void whatIsComputedOtherwiseIsRefused(String type, String key, String message) {
    assertThatThrownBy(() -> metadata("{'model_type': '" + type + "'," + key + "}"))
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource({
    "llama, attn_output, attention_bias",
    "llama, ffn_up, mlp_bias",
    "seed_oss, attn_output, attention_out_bias",
    "qwen3, attn_q, attention_bias",
    "qwen2_moe, attn_k, qkv_bias",
    "granite, ffn_down, mlp_bias",
    "gemma2, attn_v, attention_bias"
  })
  void biasesAreThereIfTheModelHasThem(String type, String module, String key) throws IOException {
    String json = "{'model_type': '%s', '%s': %s}";
    assertThat(config(json.formatted(type, key, true)).biased(module)).isTrue();
    assertThat(config(json.formatted(type, key, false)).biased(module)).isFalse();
  }

  @Test
  void someFamiliesLeaveNoChoiceOfBiases() throws IOException {
    assertThat(config("{'model_type': 'qwen2'}").biased("attn_q")).isTrue();
    assertThat(config("{'model_type': 'qwen2', 'attention_bias': true}").biased("attn_output"))
        .isFalse();
    assertThat(config("{'model_type': 'mistral', 'attention_bias': true}").biased("attn_q"))
        .isFalse();
    assertThat(config("{'model_type': 'llama'}").biased("attn_q")).isFalse();
    assertThat(config("{'model_type': 'gpt_oss'}").biased("attn_q")).isTrue();
    assertThat(config("{'model_type': 'gpt_oss'}").biased("ffn_gate_inp")).isTrue();
  }

  // Weights

  private ModelFile directory(String json, float[] head, String... others) throws IOException {
    config(json);
    StringBuilder header = new StringBuilder("{");
    ByteBuffer data = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
    float[] embedding = {1, 2, 3, 4, 5, 6};
    tensor(header, data, "model.embed_tokens.weight", "[3,2]", embedding);
    if (head.length > 0) {
      tensor(header, data, "lm_head.weight", "[3,2]", head);
    }
    for (String other : others) {
      tensor(header, data, other, "[2]", new float[] {1, 1});
    }
    byte[] text = (header + "}").getBytes(StandardCharsets.UTF_8);
    ByteBuffer all = ByteBuffer.allocate(8 + text.length + data.position());
    all.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(data.flip());
    Files.write(folder.resolve("model.safetensors"), all.array());
    return ModelFile.open(folder);
  }

  private static void tensor(
      StringBuilder header, ByteBuffer data, String name, String shape, float[] values) {
    header
        .append(header.length() > 1 ? "," : "")
        .append("\"%s\":{\"dtype\":\"F32\",\"shape\":%s,".formatted(name, shape))
        .append(
            "\"data_offsets\":[%d,%d]}"
                .formatted(data.position(), data.position() + 4 * values.length));
    for (float value : values) {
      data.putFloat(value);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'model_type': 'gemma2' | same | false | ``",
        "'model_type': 'gemma2' | last | true | that of the files is taken",
        "'model_type': 'gemma2', 'tie_word_embeddings': false | same | true | ``",
        "'model_type': 'llama' | same | true | ``",
        "'model_type': 'llama', 'tie_word_embeddings': true | last | true | that of the files",
        "'model_type': 'llama', 'tie_word_embeddings': true | none | false | ``",
        "'model_type': 'llama' | none | false | no lm_head.weight",
        "'model_type': 'llama', 'tie_word_embeddings': null | same | true | ``",
        "'model_type': 'gemma3', 'text_config': {} | same | false | ``",
        "'model_type': 'mistral3', 'text_config': {'model_type': 'mistral'} | last | true | that"
            + " of",
        "'model_type': 'gemma3', 'tie_word_embeddings': false, 'text_config': {} | same | true |"
            + " ``",
      })
  void anOutputProjectionOfItsOwnIsKept(String json, String kind, boolean own, String note)
      throws IOException {
    float[] head =
        switch (kind) {
          case "same" -> new float[] {1, 2, 3, 4, 5, 6};
          case "last" -> new float[] {1, 2, 3, 4, 5, 7};
          default -> new float[0];
        };
    try (ModelFile file = directory("{" + json + "}", head)) {
      assertThat(file.tensors().containsKey("output.weight")).isEqualTo(own);
      if (note.isEmpty()) {
        assertThat(file.notes()).isEmpty();
      } else {
        assertThat(file.notes()).singleElement().asString().contains(note);
      }
    }
  }

  /** A model like Falcon H1 may tie two matrices that have factors of their own. */
  @Test
  void factorsOnTheEmbeddingAreNotTheOutputs() throws IOException {
    String json = "{'model_type': 'falcon_h1', 'tie_word_embeddings': true%s}";
    String factors = ", 'embedding_multiplier': 3, 'lm_head_multiplier': 0.5";
    try (ModelFile file = directory(json.formatted(factors), new float[0])) {
      assertThat(numbers(file, "token_embd.weight")).containsExactly(3, 6, 9, 12, 15, 18);
      assertThat(numbers(file, "output.weight")).containsExactly(0.5f, 1, 1.5f, 2, 2.5f, 3);
    }
    try (ModelFile file = directory(json.formatted(""), new float[0])) {
      assertThat(numbers(file, "token_embd.weight")).containsExactly(1, 2, 3, 4, 5, 6);
      assertThat(file.tensors()).doesNotContainKey("output.weight");
    }
  }

  private static float[] numbers(ModelFile file, String name) {
    TensorInfo tensor = file.tensors().get(name);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.bytes());
      file.read(tensor, 0, bytes);
      return bytes.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Test
  void biasesThatTheModelHasNotAreLeftOutAndSaid() throws IOException {
    String bias = "model.layers.0.self_attn.q_proj.bias";
    try (ModelFile file = directory("{'model_type': 'qwen2'}", new float[6], bias)) {
      assertThat(file.tensors()).containsKey("blk.0.attn_q.bias");
      assertThat(file.notes()).isEqualTo(List.of());
    }
    try (ModelFile file = directory("{'model_type': 'llama'}", new float[6], bias)) {
      assertThat(file.tensors()).doesNotContainKey("blk.0.attn_q.bias");
      assertThat(file.notes()).singleElement().asString().startsWith("1 bias tensors are left out");
    }
  }
}
