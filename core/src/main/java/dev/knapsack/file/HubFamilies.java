package dev.knapsack.file;

import static dev.knapsack.file.HubFamily.flag;
import static dev.knapsack.file.HubFamily.integer;
import static dev.knapsack.file.HubFamily.named;
import static dev.knapsack.file.HubFamily.real;
import static java.util.Map.entry;

import dev.knapsack.file.HubFamily.Trait;
import dev.knapsack.file.HubFamily.Windows;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The model families that can be read from directories, by {@code model_type}. */
final class HubFamilies {
  static final List<HubFamily.Key> EXPERTS =
      List.of(
          integer("num_experts", "expert_count"),
          integer("num_experts_per_tok", "expert_used_count"),
          integer("moe_intermediate_size", "expert_feed_forward_length"),
          integer("shared_expert_intermediate_size", "expert_shared_feed_forward_length"),
          flag("norm_topk_prob", "expert_weights_norm"));

  /** Experts as wide as {@code intermediate_size} and weighed by their own sum. */
  private static final List<HubFamily.Key> WIDE_EXPERTS =
      List.of(
          integer("num_local_experts", "expert_count"),
          integer("num_experts_per_tok", "expert_used_count"),
          integer("intermediate_size", "expert_feed_forward_length"));

  private static final List<HubFamily.Key> GEMMA =
      List.of(
          real("attn_logit_softcapping", "attn_logit_softcapping"),
          real("final_logit_softcapping", "final_logit_softcapping"));

  static final List<HubFamily.Key> GRANITE =
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

  /** Experts of which some take all tokens, and the first layers have none. */
  private static final List<HubFamily.Key> ROUTED_EXPERTS =
      List.of(
          integer("n_routed_experts", "expert_count"),
          integer("num_experts_per_tok", "expert_used_count"),
          integer("moe_intermediate_size", "expert_feed_forward_length"),
          integer("n_shared_experts", "expert_shared_count"),
          integer("first_k_dense_replace", "leading_dense_block_count"),
          integer("n_group", "expert_group_count"),
          integer("topk_group", "expert_group_used_count"),
          integer("expert_gating_func", "expert_gating_func"),
          real("routed_scaling_factor", "expert_weights_scale"),
          flag("norm_topk_prob", "expert_weights_norm"));

  private static final Map<String, String> CORRECTION =
      Map.of("mlp.gate.e_score_correction_bias", "exp_probs_b.bias");

  private static final List<HubFamily.Key> LATENT =
      List.of(
          integer("q_lora_rank", "attention.q_lora_rank"),
          integer("kv_lora_rank", "attention.kv_lora_rank"),
          integer("qk_nope_head_dim+qk_rope_head_dim", "attention.key_length"),
          integer("v_head_dim", "attention.value_length"),
          integer("qk_rope_head_dim", "rope.dimension_count"));

  private static final Map<String, String> LATENT_MODULES =
      Map.of(
          "self_attn.q_a_proj", "attn_q_a",
          "self_attn.q_a_layernorm", "attn_q_a_norm",
          "self_attn.q_b_proj", "attn_q_b",
          "self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa",
          "self_attn.kv_a_layernorm", "attn_kv_a_norm",
          "self_attn.kv_b_proj", "attn_kv_b");

  private static final String DEEPSEEK =
      """
      {rms_norm_eps: 1e-6, rope_theta: 1e4, kv_lora_rank: 512, qk_nope_head_dim: 128,
       qk_rope_head_dim: 64, v_head_dim: 128, attention_bias: false}\
      """;

  private static final Map<String, String> LLADA_MODULES =
      Map.of(
          "q_proj", "attn_q",
          "k_proj", "attn_k",
          "v_proj", "attn_v",
          "attn_out", "attn_output",
          "attn_norm", "attn_norm",
          "ff_norm", "ffn_norm",
          "ff_proj", "ffn_gate",
          "up_proj", "ffn_up",
          "ff_out", "ffn_down");

  private static final Map<String, HubFamily> ATTENTIVE =
      Map.ofEntries(
          entry(
              "glm4",
              named(
                      "glm4",
                      """
                      {hidden_size: 4096, intermediate_size: 13696, num_hidden_layers: 40,
                       num_attention_heads: 32, num_key_value_heads: 2, head_dim: 128,
                       max_position_embeddings: 131072, rms_norm_eps: 1.5625e-7,
                       rope_theta: 1e4, partial_rotary_factor: 0.5, attention_bias: true,
                       attention_out_bias: false}\
                      """)
                  .naming(
                      Map.of(
                          "post_self_attn_layernorm", "post_attention_norm",
                          "post_mlp_layernorm", "post_ffw_norm"))
                  .being(Trait.ADJACENT_PAIRS)),
          entry(
              "glm4_moe",
              named(
                      "glm4moe",
                      """
                      {hidden_size: 4096, intermediate_size: 10944, num_hidden_layers: 46,
                       num_attention_heads: 96, num_key_value_heads: 8,
                       max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 1e4,
                       partial_rotary_factor: 0.5, attention_bias: false,
                       attention_out_bias: false, moe_intermediate_size: 1408,
                       num_experts_per_tok: 8, n_shared_experts: 1, n_routed_experts: 128,
                       routed_scaling_factor: 1, n_group: 1, topk_group: 1,
                       first_k_dense_replace: 1, norm_topk_prob: true, expert_gating_func: 2}\
                      """)
                  .with(ROUTED_EXPERTS)
                  .naming(AFTER_ATTENTION)
                  .holding(CORRECTION)),
          entry(
              "deepseek_v3",
              named(
                      "deepseek2",
                      DEEPSEEK,
                      """
                      {hidden_size: 7168, intermediate_size: 18432, num_hidden_layers: 61,
                       num_attention_heads: 128, num_key_value_heads: 128,
                       max_position_embeddings: 4096, q_lora_rank: 1536,
                       moe_intermediate_size: 2048, n_shared_experts: 1, n_routed_experts: 256,
                       routed_scaling_factor: 2.5, n_group: 8, topk_group: 4,
                       num_experts_per_tok: 8, first_k_dense_replace: 3, norm_topk_prob: true,
                       eos_token_id: 1, expert_gating_func: 2}\
                      """)
                  .with(ROUTED_EXPERTS)
                  .with(LATENT)
                  .naming(LATENT_MODULES)
                  .holding(CORRECTION)
                  .being(Trait.ADJACENT_PAIRS)),
          entry(
              "deepseek_v2",
              named(
                      "deepseek2",
                      DEEPSEEK,
                      """
                      {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                       num_attention_heads: 32, num_key_value_heads: 32,
                       max_position_embeddings: 2048, q_lora_rank: 1536,
                       moe_intermediate_size: 1407, n_shared_experts: 2, n_routed_experts: 64,
                       routed_scaling_factor: 1, first_k_dense_replace: 0,
                       norm_topk_prob: false, eos_token_id: 2, expert_gating_func: 1}\
                      """)
                  .with(ROUTED_EXPERTS)
                  .with(LATENT)
                  .naming(LATENT_MODULES)
                  .being(Trait.ADJACENT_PAIRS)),
          entry(
              "exaone4",
              named(
                      "exaone4",
                      """
                      {hidden_size: 4096, intermediate_size: 16384, num_hidden_layers: 32,
                       num_attention_heads: 32, num_key_value_heads: 32,
                       max_position_embeddings: 2048, rms_norm_eps: 1e-5, rope_theta: 1e4,
                       eos_token_id: 2, sliding_window: 4096, sliding_window_pattern: 4}\
                      """)
                  .naming(OLMO_MODULES)
                  .windowed(Windows.ALL_BUT_EVERY_NTH)),
          entry(
              "ernie4_5",
              named(
                      "ernie4_5",
                      """
                      {hidden_size: 1024, intermediate_size: 3072, num_hidden_layers: 18,
                       num_attention_heads: 16, num_key_value_heads: 2, head_dim: 128,
                       max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 5e5,
                       eos_token_id: 2, tie_word_embeddings: true, use_bias: false}\
                      """)
                  .being(Trait.ADJACENT_PAIRS)),
          entry(
              "ernie4_5_moe",
              named(
                      "ernie4_5-moe",
                      """
                      {hidden_size: 2560, intermediate_size: 12288, num_hidden_layers: 28,
                       num_attention_heads: 20, num_key_value_heads: 4,
                       max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 5e5,
                       eos_token_id: 2, tie_word_embeddings: true, use_bias: false,
                       moe_intermediate_size: 1536, moe_k: 6, moe_num_experts: 64,
                       moe_num_shared_experts: 2, moe_layer_start_index: 1,
                       moe_layer_interval: 1}\
                      """)
                  .with(
                      integer("moe_num_experts", "expert_count"),
                      integer("moe_k", "expert_used_count"),
                      integer("moe_intermediate_size", "expert_feed_forward_length"),
                      integer(
                          "moe_intermediate_size*moe_num_shared_experts",
                          "expert_shared_feed_forward_length"),
                      integer("moe_layer_start_index", "leading_dense_block_count"),
                      integer("moe_layer_interval", "interleave_moe_layer_step"))
                  .holding(Map.of("mlp.moe_statics.e_score_correction_bias", "exp_probs_b.bias"))
                  .being(Trait.ADJACENT_PAIRS)),
          entry(
              "cohere2",
              named(
                      "cohere2",
                      """
                      {hidden_size: 8192, intermediate_size: 22528, num_hidden_layers: 40,
                       num_attention_heads: 64, max_position_embeddings: 8192,
                       layer_norm_eps: 1e-5, logit_scale: 0.0625, rope_theta: 1e4,
                       eos_token_id: 255001, tie_word_embeddings: true, attention_bias: false,
                       sliding_window: 4096, sliding_window_pattern: 4}\
                      """)
                  .with(
                      real("layer_norm_eps", "attention.layer_norm_epsilon"),
                      real("logit_scale", "logit_scale"))
                  .windowed(Windows.ALL_BUT_EVERY_NTH)
                  .being(Trait.ADJACENT_PAIRS)),
          entry(
              "starcoder2",
              named(
                      "starcoder2",
                      """
                      {hidden_size: 3072, intermediate_size: 12288, num_hidden_layers: 30,
                       num_attention_heads: 24, num_key_value_heads: 2,
                       max_position_embeddings: 4096, norm_epsilon: 1e-5, rope_theta: 1e4,
                       eos_token_id: 50256, tie_word_embeddings: true, use_bias: true,
                       hidden_act: gelu_pytorch_tanh}\
                      """)
                  .with(real("norm_epsilon", "attention.layer_norm_epsilon"))
                  .naming(Map.of("mlp.c_fc", "ffn_up", "mlp.c_proj", "ffn_down"))
                  .windowed(Windows.ALL)),
          entry(
              "hunyuan_v1_dense",
              named(
                      "hunyuan-dense",
                      """
                      {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                       num_attention_heads: 32, max_position_embeddings: 2048,
                       rms_norm_eps: 1e-5, rope_theta: 1e4, eos_token_id: 2,
                       attention_bias: false}\
                      """)
                  .naming(
                      Map.of(
                          "self_attn.query_layernorm", "attn_q_norm",
                          "self_attn.key_layernorm", "attn_k_norm"))),
          entry(
              "minimax_m2",
              named(
                      "minimax-m2",
                      """
                      {hidden_size: 3072, intermediate_size: 1536, num_hidden_layers: 62,
                       num_attention_heads: 48, num_key_value_heads: 8, head_dim: 128,
                       max_position_embeddings: 196608, rms_norm_eps: 1e-6, rope_theta: 5e6,
                       partial_rotary_factor: 1, eos_token_id: 200020, num_local_experts: 256,
                       num_experts_per_tok: 8, expert_gating_func: 2}\
                      """)
                  .with(WIDE_EXPERTS)
                  .with(integer("expert_gating_func", "expert_gating_func"))
                  .holding(Map.of("block_sparse_moe.e_score_correction_bias", "exp_probs_b.bias"))),
          entry(
              "Dream",
              named(
                  "dream",
                  """
                  {hidden_size: 4096, intermediate_size: 22016, num_hidden_layers: 32,
                   num_attention_heads: 32, num_key_value_heads: 32,
                   max_position_embeddings: 32768, rms_norm_eps: 1e-6, rope_theta: 1e4,
                   qkv_bias: true, mask_token_id: 151666, shift_logits: true}\
                  """)),
          entry(
              "llada",
              named(
                      "llada",
                      "{rope_theta: 1e4, rms_norm_eps: 1e-5, mask_token_id: 126336,"
                          + " shift_logits: false}")
                  .naming(LLADA_MODULES)),
          entry(
              "llama",
              named(
                  "llama",
                  """
                  {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6,
                   rope_theta: 1e4, eos_token_id: 2, attention_bias: false, mlp_bias: false}\
                  """)),
          entry("mistral", named("llama", MISTRAL).windowed(Windows.ALL)),
          entry("mistral3", named("mistral3", MISTRAL).windowed(Windows.ALL)),
          entry(
              "ministral3",
              named(
                      "mistral3",
                      """
                      {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 34,
                       num_attention_heads: 32, num_key_value_heads: 8, head_dim: 128,
                       max_position_embeddings: 262144, rms_norm_eps: 1e-5, rope_theta: 1e4,
                       eos_token_id: 2, rope_parameters:
                       {rope_type: yarn, rope_theta: 1e6, factor: 16, beta_fast: 32, beta_slow: 1,
                        original_max_position_embeddings: 16384, mscale: 1, mscale_all_dim: 1,
                        llama_4_scaling_beta: 0.1}}\
                      """)
                  .windowed(Windows.ALL)),
          entry(
              "mixtral",
              named(
                      "llama",
                      """
                      {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32,
                       num_attention_heads: 32, num_key_value_heads: 8,
                       max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 1e6,
                       eos_token_id: 2, num_local_experts: 8, num_experts_per_tok: 2}\
                      """)
                  .with(WIDE_EXPERTS)
                  .windowed(Windows.ALL)),
          entry("qwen2", named("qwen2", QWEN).windowed(Windows.LAST_IF_USED)),
          entry(
              "qwen3",
              named("qwen3", QWEN, "{head_dim: 128, attention_bias: false}")
                  .windowed(Windows.LAST_IF_USED)),
          entry(
              "qwen2_moe",
              named(
                      "qwen2moe",
                      QWEN,
                      """
                      {hidden_size: 2048, intermediate_size: 5632, num_hidden_layers: 24,
                       num_attention_heads: 16, num_key_value_heads: 16, num_experts: 60,
                       num_experts_per_tok: 4, moe_intermediate_size: 1408,
                       shared_expert_intermediate_size: 5632, norm_topk_prob: false,
                       qkv_bias: true}\
                      """)
                  .with(EXPERTS)
                  .windowed(Windows.EVERY_SECOND_IF_USED)),
          entry(
              "qwen3_moe",
              named(
                      "qwen3moe",
                      QWEN,
                      """
                      {hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 24,
                       num_attention_heads: 32, num_key_value_heads: 4, num_experts: 128,
                       num_experts_per_tok: 8, moe_intermediate_size: 768, norm_topk_prob: false,
                       attention_bias: false}\
                      """)
                  .with(EXPERTS)
                  .windowed(Windows.ALL_IF_USED)),
          entry(
              "smollm3",
              named(
                      "smollm3",
                      """
                      {hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 36,
                       num_attention_heads: 16, num_key_value_heads: 4,
                       max_position_embeddings: 32768, rms_norm_eps: 1e-6, rope_theta: 2e6,
                       eos_token_id: 128001, use_sliding_window: false, no_rope_layer_interval: 4,
                       tie_word_embeddings: true, attention_bias: false, mlp_bias: false}\
                      """)
                  .windowed(Windows.UNROTATED_IF_USED)),
          entry(
              "granite",
              named(
                      "granite",
                      """
                      {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                       num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6,
                       rope_theta: 1e4, eos_token_id: 2, embedding_multiplier: 1,
                       residual_multiplier: 1, attention_multiplier: 1, logits_scaling: 1,
                       attention_bias: false, mlp_bias: false}\
                      """)
                  .with(GRANITE)),
          entry(
              "phi3",
              named(
                      "phi3",
                      """
                      {hidden_size: 3072, intermediate_size: 8192, num_hidden_layers: 32,
                       num_attention_heads: 32, max_position_embeddings: 4096,
                       original_max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_theta: 1e4,
                       partial_rotary_factor: 1, eos_token_id: 32000}\
                      """)
                  .windowed(Windows.ALL)),
          entry(
              "gemma2",
              named(
                      "gemma2",
                      GEMMA_2,
                      """
                      {max_position_embeddings: 8192, rope_theta: 1e4, attn_logit_softcapping: 50,
                       final_logit_softcapping: 30}\
                      """)
                  .with(GEMMA)
                  .naming(GEMMA_MODULES)
                  .being(Trait.NORMS_PLUS_ONE)
                  .windowed(Windows.EVERY_SECOND)),
          entry(
              "olmo2",
              named(
                      "olmo2",
                      """
                          {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                           num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-5,
                           rope_theta: 1e4, eos_token_id: 50279, attention_bias: false}\
                      """)
                  .naming(OLMO_MODULES)),
          entry(
              "seed_oss",
              named(
                      "seed_oss",
                      """
                          {hidden_size: 4096, intermediate_size: 27648, num_hidden_layers: 64,
                           num_attention_heads: 80, num_key_value_heads: 8, head_dim: 128,
                           max_position_embeddings: 524288, rms_norm_eps: 1e-6, rope_theta: 1e4,
                           eos_token_id: 2, attention_bias: true, attention_out_bias: false,
                           mlp_bias: false}\
                      """)
                  .naming(AFTER_ATTENTION)),
          entry(
              "gemma3",
              named("gemma3", GEMMA_2, GEMMA_3)
                  .with(GEMMA)
                  .naming(GEMMA_MODULES)
                  .being(Trait.NORMS_PLUS_ONE)
                  .windowed(Windows.ALL_BUT_EVERY_NTH)),
          entry(
              "gemma3_text",
              named("gemma3", GEMMA_2, GEMMA_3)
                  .with(GEMMA)
                  .naming(GEMMA_MODULES)
                  .being(Trait.NORMS_PLUS_ONE)
                  .windowed(Windows.ALL_BUT_EVERY_NTH)),
          entry(
              "gpt_oss",
              named(
                      "gpt-oss",
                      """
                          {hidden_size: 2880, intermediate_size: 2880, num_hidden_layers: 36,
                           num_attention_heads: 64, num_key_value_heads: 8, head_dim: 64,
                           max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 150000,
                           sliding_window: 128, num_local_experts: 128, num_experts_per_tok: 4,
                           attention_bias: true, rope_parameters:
                           {rope_type: yarn, factor: 32, beta_fast: 32, beta_slow: 1,
                            truncate: false, original_max_position_embeddings: 4096}}\
                      """)
                  .with(WIDE_EXPERTS)
                  .naming(AFTER_ATTENTION)
                  .holding(Map.of("self_attn.sinks", "attn_sinks.weight"))
                  .windowed(Windows.EVERY_SECOND)));

  private HubFamilies() {}

  /** The family of a {@code model_type}, or null. */
  static @Nullable HubFamily find(String modelType) {
    HubFamily recurrent = HubRecurrentFamilies.ALL.get(modelType);
    return recurrent == null ? ATTENTIVE.get(modelType) : recurrent;
  }

  static String supported() {
    TreeSet<String> types = new TreeSet<>(ATTENTIVE.keySet());
    types.addAll(HubRecurrentFamilies.ALL.keySet());
    types.addAll(EncoderConfig.supported());
    return String.join(", ", types);
  }
}
