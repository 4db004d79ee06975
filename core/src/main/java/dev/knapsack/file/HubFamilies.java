package dev.knapsack.file;

import static dev.knapsack.file.HubFamily.flag;
import static dev.knapsack.file.HubFamily.integer;
import static dev.knapsack.file.HubFamily.of;
import static dev.knapsack.file.HubFamily.real;
import static java.util.Map.entry;

import dev.knapsack.file.HubFamily.Key;
import dev.knapsack.file.HubFamily.Trait;
import dev.knapsack.file.HubFamily.Windows;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The model families that can be read from directories, by {@code model_type}. */
final class HubFamilies {
  static final List<Key> EXPERTS =
      List.of(
          integer("num_experts", "expert_count"),
          integer("num_experts_per_tok", "expert_used_count"),
          integer("moe_intermediate_size", "expert_feed_forward_length"),
          integer("shared_expert_intermediate_size", "expert_shared_feed_forward_length"),
          flag("norm_topk_prob", "expert_weights_norm"));

  /** Experts as wide as {@code intermediate_size} and weighed by their own sum. */
  private static final List<Key> WIDE_EXPERTS =
      List.of(
          integer("num_local_experts", "expert_count"),
          integer("num_experts_per_tok", "expert_used_count"),
          integer("intermediate_size", "expert_feed_forward_length"));

  private static final List<Key> GEMMA =
      List.of(
          real("attn_logit_softcapping", "attn_logit_softcapping"),
          real("final_logit_softcapping", "final_logit_softcapping"));

  static final List<Key> GRANITE =
      List.of(
          real("embedding_multiplier", "embedding_scale"),
          real("residual_multiplier", "residual_scale"),
          real("attention_multiplier", "attention.scale"),
          real("logits_scaling", "logit_scale"));

  private static final Map<String, String> GEMMA_MODULES =
      Map.of(
          "post_attention_layernorm", "post_attention_norm",
          "pre_feedforward_layernorm", "ffn_norm",
          "post_feedforward_layernorm", "post_ffw_norm");

  /** Norms that are named after what they follow. */
  private static final Map<String, String> AFTER_ATTENTION =
      Map.of("post_attention_layernorm", "post_attention_norm");

  private static final Map<String, String> OLMO_MODULES =
      Map.of(
          "post_attention_layernorm", "post_attention_norm",
          "post_feedforward_layernorm", "post_ffw_norm");

  private static final String MISTRAL =
      """
      {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32,
       num_attention_heads: 32, num_key_value_heads: 8, max_position_embeddings: 131072,
       rms_norm_eps: 1e-6, rope_theta: 1e4, eos_token_id: 2, sliding_window: 4096}\
      """;

  private static final String QWEN =
      """
      {hidden_size: 4096, intermediate_size: 22016, num_hidden_layers: 32,
       num_attention_heads: 32, num_key_value_heads: 32, max_position_embeddings: 32768,
       rms_norm_eps: 1e-6, rope_theta: 1e4, sliding_window: 4096, use_sliding_window: false,
       max_window_layers: 28, qkv_bias: true}\
      """;

  private static final String GEMMA_3 =
      """
      {max_position_embeddings: 131072, rope_theta: 1e6, rope_local_base_freq: 1e4,
       sliding_window_pattern: 6}\
      """;

  private static final String GEMMA_2 =
      """
      {hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 26,
       num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256, rms_norm_eps: 1e-6,
       query_pre_attn_scalar: 256, sliding_window: 4096, eos_token_id: 1,
       tie_word_embeddings: true, attention_bias: false}\
      """;

  private static final Map<String, HubFamily> ATTENTIVE =
      Map.ofEntries(
          entry("llama", of("llama", """
                  {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6,
                   rope_theta: 1e4, eos_token_id: 2, attention_bias: false, mlp_bias: false}\
                  """)),
          entry("mistral", of("llama", MISTRAL).windowed(Windows.ALL)),
          entry("mistral3", of("mistral3", MISTRAL).windowed(Windows.ALL)),
          entry("ministral3", of("mistral3", """
                  {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 34,
                   num_attention_heads: 32, num_key_value_heads: 8, head_dim: 128,
                   max_position_embeddings: 262144, rms_norm_eps: 1e-5, rope_theta: 1e4,
                   eos_token_id: 2, rope_parameters:
                   {rope_type: yarn, rope_theta: 1e6, factor: 16, beta_fast: 32, beta_slow: 1,
                    original_max_position_embeddings: 16384, mscale: 1, mscale_all_dim: 1,
                    llama_4_scaling_beta: 0.1}}\
                  """).windowed(Windows.ALL)),
          entry("mixtral", of("llama", """
                  {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32,
                   num_attention_heads: 32, num_key_value_heads: 8,
                   max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 1e6,
                   eos_token_id: 2, num_local_experts: 8, num_experts_per_tok: 2}\
                  """).with(WIDE_EXPERTS).windowed(Windows.ALL)),
          entry("qwen2", of("qwen2", QWEN).windowed(Windows.LAST_IF_USED)),
          entry("qwen3", of("qwen3", QWEN, "{head_dim: 128, attention_bias: false}").windowed(Windows.LAST_IF_USED)),
          entry("qwen2_moe", of("qwen2moe", QWEN, """
                  {hidden_size: 2048, intermediate_size: 5632, num_hidden_layers: 24,
                   num_attention_heads: 16, num_key_value_heads: 16, num_experts: 60,
                   num_experts_per_tok: 4, moe_intermediate_size: 1408,
                   shared_expert_intermediate_size: 5632, norm_topk_prob: false,
                   qkv_bias: true}\
                  """).with(EXPERTS).windowed(Windows.EVERY_SECOND_IF_USED)),
          entry("qwen3_moe", of("qwen3moe", QWEN, """
                  {hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 24,
                   num_attention_heads: 32, num_key_value_heads: 4, num_experts: 128,
                   num_experts_per_tok: 8, moe_intermediate_size: 768, norm_topk_prob: false,
                   attention_bias: false}\
                  """).with(EXPERTS).windowed(Windows.ALL_IF_USED)),
          entry("smollm3", of("smollm3", """
                  {hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 36,
                   num_attention_heads: 16, num_key_value_heads: 4,
                   max_position_embeddings: 32768, rms_norm_eps: 1e-6, rope_theta: 2e6,
                   eos_token_id: 128001, use_sliding_window: false, no_rope_layer_interval: 4,
                   tie_word_embeddings: true, attention_bias: false, mlp_bias: false}\
                  """).windowed(Windows.UNROTATED_IF_USED)),
          entry("granite", of("granite", """
                  {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6,
                   rope_theta: 1e4, eos_token_id: 2, embedding_multiplier: 1,
                   residual_multiplier: 1, attention_multiplier: 1, logits_scaling: 1,
                   attention_bias: false, mlp_bias: false}\
                  """).with(GRANITE)),
          entry("phi3", of("phi3", """
                  {hidden_size: 3072, intermediate_size: 8192, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 4096,
                   original_max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_theta: 1e4,
                   partial_rotary_factor: 1, eos_token_id: 32000}\
                  """).windowed(Windows.ALL)),
          entry("gemma2", of("gemma2", GEMMA_2, """
                  {max_position_embeddings: 8192, rope_theta: 1e4, attn_logit_softcapping: 50,
                   final_logit_softcapping: 30}\
                  """).with(GEMMA).naming(GEMMA_MODULES).being(Trait.NORMS_PLUS_ONE).windowed(Windows.EVERY_SECOND)),
          entry("olmo2", of("olmo2", """
                      {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                       num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-5,
                       rope_theta: 1e4, eos_token_id: 50279, attention_bias: false}\
                  """).naming(OLMO_MODULES)),
          entry("seed_oss", of("seed_oss", """
                      {hidden_size: 4096, intermediate_size: 27648, num_hidden_layers: 64,
                       num_attention_heads: 80, num_key_value_heads: 8, head_dim: 128,
                       max_position_embeddings: 524288, rms_norm_eps: 1e-6, rope_theta: 1e4,
                       eos_token_id: 2, attention_bias: true, attention_out_bias: false,
                       mlp_bias: false}\
                  """).naming(AFTER_ATTENTION)),
          entry("gemma3", of("gemma3", GEMMA_2, GEMMA_3).with(GEMMA).naming(GEMMA_MODULES).being(Trait.NORMS_PLUS_ONE).windowed(Windows.ALL_BUT_EVERY_NTH)),
          entry("gemma3_text", of("gemma3", GEMMA_2, GEMMA_3).with(GEMMA).naming(GEMMA_MODULES).being(Trait.NORMS_PLUS_ONE).windowed(Windows.ALL_BUT_EVERY_NTH)),
          entry("gpt_oss", of("gpt-oss", """
                      {hidden_size: 2880, intermediate_size: 2880, num_hidden_layers: 36,
                       num_attention_heads: 64, num_key_value_heads: 8, head_dim: 64,
                       max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 150000,
                       sliding_window: 128, num_local_experts: 128, num_experts_per_tok: 4,
                       attention_bias: true, rope_parameters:
                       {rope_type: yarn, factor: 32, beta_fast: 32, beta_slow: 1,
                        truncate: false, original_max_position_embeddings: 4096}}\
                  """).with(WIDE_EXPERTS).naming(AFTER_ATTENTION).holding(Map.of("self_attn.sinks", "attn_sinks.weight")).windowed(Windows.EVERY_SECOND)));

  private HubFamilies() {}

  /** The family of a {@code model_type}, or null. */
  static @Nullable HubFamily find(String modelType) {
    HubFamily recurrent = HubRecurrentFamilies.ALL.get(modelType);
    return recurrent == null ? ATTENTIVE.get(modelType) : recurrent;
  }

  static String supported() {
    TreeSet<String> types = new TreeSet<>(ATTENTIVE.keySet());
    types.addAll(HubRecurrentFamilies.ALL.keySet());
    return String.join(", ", types);
  }
}
