package dev.knapsack.file;

import static dev.knapsack.file.HubFamily.flag;
import static dev.knapsack.file.HubFamily.integer;
import static dev.knapsack.file.HubFamily.named;
import static dev.knapsack.file.HubFamily.real;
import static java.util.Map.entry;

import dev.knapsack.file.HubFamily.Trait;
import java.util.List;
import java.util.Map;

/** The families, some of whose layers carry a state in place of keys and values. */
final class HubRecurrentFamilies {
  private static final List<HubFamily.Key> DELTA_RULE =
      List.of(
          integer("linear_conv_kernel_dim", "ssm.conv_kernel"),
          integer("linear_key_head_dim", "ssm.state_size"),
          integer("linear_num_key_heads", "ssm.group_count"),
          integer("linear_num_value_heads", "ssm.time_step_rank"),
          integer("linear_value_head_dim*linear_num_value_heads", "ssm.inner_size"),
          integer("full_attention_interval", "full_attention_interval"));

  private static final String QWEN =
      """
      {num_hidden_layers: 48, max_position_embeddings: 32768, rms_norm_eps: 1e-6, rope_theta: 1e4,
       partial_rotary_factor: 0.25, head_dim: 256, attention_bias: false,
       tie_word_embeddings: false, linear_conv_kernel_dim: 4, linear_key_head_dim: 128,
       linear_value_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: 32,
       full_attention_interval: 4}\
      """;

  private static final Map<String, String> QWEN_MODULES =
      Map.ofEntries(
          entry("post_attention_layernorm", "post_attention_norm"),
          entry("linear_attn.in_proj_qkvz", "ssm_in"),
          entry("linear_attn.in_proj_ba", "ssm_ba"),
          entry("linear_attn.in_proj_qkv", "attn_qkv"),
          entry("linear_attn.in_proj_z", "attn_gate"),
          entry("linear_attn.in_proj_b", "ssm_beta"),
          entry("linear_attn.in_proj_a", "ssm_alpha"),
          entry("linear_attn.conv1d", "ssm_conv1d"),
          entry("linear_attn.norm", "ssm_norm"),
          entry("linear_attn.out_proj", "ssm_out"));

  private static final Map<String, String> QWEN_TENSORS =
      Map.of(
          "linear_attn.A_log", "ssm_a",
          "linear_attn.dt_bias", "ssm_dt.bias",
          "mlp.experts.gate_up_proj", "ffn_gate_exps.weight|ffn_up_exps.weight",
          "mlp.experts.down_proj", "ffn_down_exps.weight");

  private static final HubFamily QWEN_35 =
      named(
              "qwen35",
              QWEN,
              "{hidden_size: 4096, intermediate_size: 12288, num_hidden_layers: 32,"
                  + " num_attention_heads: 16, num_key_value_heads: 4}")
          .with(DELTA_RULE)
          .naming(QWEN_MODULES)
          .holding(QWEN_TENSORS)
          .being(Trait.NORMS_PLUS_ONE, Trait.FLAGS_BY_LAYER, Trait.HEADS_TOGETHER);

  private static final HubFamily QWEN_35_MOE =
      named(
              "qwen35moe",
              QWEN,
              "{hidden_size: 2048, num_hidden_layers: 40, num_attention_heads: 16,"
                  + " num_key_value_heads: 2, num_experts: 256, num_experts_per_tok: 8,"
                  + " moe_intermediate_size: 512, shared_expert_intermediate_size: 512}")
          .with(DELTA_RULE)
          .with(HubFamilies.EXPERTS)
          .naming(QWEN_MODULES)
          .holding(QWEN_TENSORS)
          .being(Trait.NORMS_PLUS_ONE, Trait.FLAGS_BY_LAYER, Trait.HEADS_TOGETHER);

  private static final List<HubFamily.Key> SHORT_CONVOLUTION =
      List.of(
          real("norm_eps", "attention.layer_norm_rms_epsilon"),
          integer("conv_L_cache", "shortconv.l_cache"));

  private static final String LFM_2 =
      """
      {num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8,
       max_position_embeddings: 128000, norm_eps: 1e-5, rope_theta: 1e6, conv_L_cache: 3,
       eos_token_id: 2, tie_word_embeddings: true, conv_bias: false}\
      """;

  private static final Map<String, String> LFM_2_MODULES =
      Map.ofEntries(
          entry("operator_norm", "attn_norm"),
          entry("self_attn.out_proj", "attn_output"),
          entry("self_attn.q_layernorm", "attn_q_norm"),
          entry("self_attn.k_layernorm", "attn_k_norm"),
          entry("conv.in_proj", "shortconv.in_proj"),
          entry("conv.conv", "shortconv.conv"),
          entry("conv.out_proj", "shortconv.out_proj"),
          entry("ffn_norm", "ffn_norm"),
          entry("feed_forward.w1", "ffn_gate"),
          entry("feed_forward.w2", "ffn_down"),
          entry("feed_forward.w3", "ffn_up"),
          entry("feed_forward.gate", "ffn_gate_inp"),
          entry("feed_forward.experts.w1", "ffn_gate_exps"),
          entry("feed_forward.experts.w2", "ffn_down_exps"),
          entry("feed_forward.experts.w3", "ffn_up_exps"));

  private static final Map<String, String> GRANITE_MODULES =
      Map.ofEntries(
          entry("mamba.in_proj", "ssm_in"),
          entry("mamba.conv1d", "ssm_conv1d"),
          entry("mamba.norm", "ssm_norm"),
          entry("mamba.out_proj", "ssm_out"),
          entry("block_sparse_moe.router.layer", "ffn_gate_inp"),
          entry("block_sparse_moe.input_linear", "ffn_gate_exps|ffn_up_exps"),
          entry("block_sparse_moe.output_linear", "ffn_down_exps"),
          entry("shared_mlp.input_linear", "ffn_gate_shexp|ffn_up_shexp"),
          entry("shared_mlp.output_linear", "ffn_down_shexp"));

  private static final Map<String, String> MAMBA_TENSORS =
      Map.of("mamba.A_log", "ssm_a", "mamba.D", "ssm_d", "mamba.dt_bias", "ssm_dt.bias");

  private static final Map<String, String> FALCON_MODULES =
      Map.of(
          "mamba.in_proj", "ssm_in",
          "mamba.conv1d", "ssm_conv1d",
          "mamba.norm", "ssm_norm",
          "mamba.out_proj", "ssm_out",
          "feed_forward.gate_proj", "ffn_gate",
          "feed_forward.up_proj", "ffn_up",
          "feed_forward.down_proj", "ffn_down");

  private static final Map<String, String> FALCON_TENSORS =
      Map.of(
          "mamba.A_log", "ssm_a",
          "mamba.D", "ssm_d",
          "mamba.dt_bias", "ssm_dt.bias",
          "pre_ff_layernorm.weight", "ffn_norm");

  private static final Map<String, String> JAMBA_MODULES =
      Map.ofEntries(
          entry("mamba.in_proj", "ssm_in"),
          entry("mamba.conv1d", "ssm_conv1d"),
          entry("mamba.x_proj", "ssm_x"),
          entry("mamba.dt_proj", "ssm_dt"),
          entry("mamba.dt_layernorm", "ssm_dt_norm"),
          entry("mamba.b_layernorm", "ssm_b_norm"),
          entry("mamba.c_layernorm", "ssm_c_norm"),
          entry("mamba.out_proj", "ssm_out"),
          entry("pre_ff_layernorm", "ffn_norm"),
          entry("feed_forward.gate_proj", "ffn_gate"),
          entry("feed_forward.up_proj", "ffn_up"),
          entry("feed_forward.down_proj", "ffn_down"),
          entry("feed_forward.router", "ffn_gate_inp"),
          entry("feed_forward.experts.gate_proj", "ffn_gate_exps"),
          entry("feed_forward.experts.up_proj", "ffn_up_exps"),
          entry("feed_forward.experts.down_proj", "ffn_down_exps"));

  private static final String MAMBA =
      """
      {num_attention_heads: 0, intermediate_size: 0, max_position_embeddings: 1048576,
       layer_norm_epsilon: 1e-5, expand: 2, conv_kernel: 4, use_bias: false, use_conv_bias: true}\
      """;

  private static final Map<String, String> MIXER_MODULES =
      Map.of(
          "norm", "attn_norm",
          "mixer.in_proj", "ssm_in",
          "mixer.conv1d", "ssm_conv1d",
          "mixer.x_proj", "ssm_x",
          "mixer.dt_proj", "ssm_dt",
          "mixer.norm", "ssm_norm",
          "mixer.out_proj", "ssm_out");

  private static final Map<String, String> MIXER_TENSORS =
      Map.of("mixer.A_log", "ssm_a", "mixer.D", "ssm_d", "mixer.dt_bias", "ssm_dt.bias");

  private static final Map<String, String> NEMOTRON_MODULES =
      Map.ofEntries(
          entry("norm", "attn_norm"),
          entry("mixer.in_proj", "ssm_in"),
          entry("mixer.conv1d", "ssm_conv1d"),
          entry("mixer.norm", "ssm_norm"),
          entry("mixer.out_proj", "ssm_out"),
          entry("mixer.q_proj", "attn_q"),
          entry("mixer.k_proj", "attn_k"),
          entry("mixer.v_proj", "attn_v"),
          entry("mixer.o_proj", "attn_output"),
          entry("mixer.up_proj", "ffn_up"),
          entry("mixer.down_proj", "ffn_down"),
          entry("mixer.gate", "ffn_gate_inp"),
          entry("mixer.experts.up_proj", "ffn_up_exps"),
          entry("mixer.experts.down_proj", "ffn_down_exps"),
          entry("mixer.shared_experts.up_proj", "ffn_up_shexp"),
          entry("mixer.shared_experts.down_proj", "ffn_down_shexp"),
          entry("mixer.fc1_latent_proj", "ffn_latent_down"),
          entry("mixer.fc2_latent_proj", "ffn_latent_up"));

  private static final Map<String, String> NEMOTRON_TENSORS =
      Map.of(
          "mixer.A_log", "ssm_a",
          "mixer.D", "ssm_d",
          "mixer.dt_bias", "ssm_dt.bias",
          "mixer.gate.e_score_correction_bias", "exp_probs_b.bias");

  private static final List<HubFamily.Key> NEMOTRON =
      List.of(
          real("layer_norm_epsilon", "attention.layer_norm_rms_epsilon"),
          real("layer_norm_epsilon", "attention.layer_norm_epsilon"),
          integer("conv_kernel", "ssm.conv_kernel"),
          integer("ssm_state_size", "ssm.state_size"),
          integer("n_groups", "ssm.group_count"),
          integer("mamba_num_heads", "ssm.time_step_rank"),
          integer("mamba_num_heads*mamba_head_dim", "ssm.inner_size"));

  private static final String NEMOTRON_H =
      """
      {hidden_size: 4096, intermediate_size: 21504, num_attention_heads: 32,
       num_key_value_heads: 8, head_dim: 128, max_position_embeddings: 4096,
       layer_norm_epsilon: 1e-5, eos_token_id: 2, attention_bias: false, mlp_bias: false,
       use_bias: false, use_conv_bias: true, ssm_state_size: 128, mamba_num_heads: 128,
       mamba_head_dim: 64, n_groups: 8, conv_kernel: 4}\
      """;

  /** The same as Nemotron H, in which some layers have experts. */
  static final HubFamily NEMOTRON_H_MOE =
      named(
              "nemotron_h_moe",
              NEMOTRON_H,
              """
              {n_routed_experts: 8, n_shared_experts: 1, moe_intermediate_size: 7688,
               moe_shared_expert_intermediate_size: 7688, num_experts_per_tok: 2,
               routed_scaling_factor: 1, n_group: 1, topk_group: 1, norm_topk_prob: true}\
              """)
          .with(NEMOTRON)
          .with(
              integer("n_routed_experts", "expert_count"),
              integer("num_experts_per_tok", "expert_used_count"),
              integer("moe_intermediate_size", "expert_feed_forward_length"),
              integer("n_shared_experts", "expert_shared_count"),
              integer(
                  "n_shared_experts*moe_shared_expert_intermediate_size",
                  "expert_shared_feed_forward_length"),
              integer("moe_latent_size", "moe_latent_size"),
              integer("n_group", "expert_group_count"),
              integer("topk_group", "expert_group_used_count"),
              real("routed_scaling_factor", "expert_weights_scale"),
              flag("norm_topk_prob", "expert_weights_norm"))
          .naming(NEMOTRON_MODULES)
          .holding(NEMOTRON_TENSORS)
          .being(Trait.STATE_SPACE, Trait.PARTS_BY_LAYER);

  static final Map<String, HubFamily> ALL =
      Map.ofEntries(
          entry(
              "nemotron_h",
              named("nemotron_h", NEMOTRON_H)
                  .with(NEMOTRON)
                  .naming(NEMOTRON_MODULES)
                  .holding(NEMOTRON_TENSORS)
                  .being(Trait.STATE_SPACE, Trait.PARTS_BY_LAYER)),
          entry(
              "qwen3_next",
              named(
                      "qwen3next",
                      QWEN,
                      """
                      {hidden_size: 2048, intermediate_size: 5632, num_attention_heads: 16,
                       num_key_value_heads: 2, num_experts: 512, num_experts_per_tok: 10,
                       moe_intermediate_size: 512, shared_expert_intermediate_size: 512,
                       norm_topk_prob: true}\
                      """)
                  .with(DELTA_RULE)
                  .with(HubFamilies.EXPERTS)
                  .naming(QWEN_MODULES)
                  .holding(QWEN_TENSORS)
                  .being(Trait.NORMS_PLUS_ONE, Trait.FLAGS_BY_LAYER)),
          entry("qwen3_5", QWEN_35),
          entry("qwen3_5_text", QWEN_35),
          entry("qwen3_5_moe", QWEN_35_MOE),
          entry("qwen3_5_moe_text", QWEN_35_MOE),
          entry(
              "lfm2",
              named(
                      "lfm2",
                      LFM_2,
                      """
                      {hidden_size: 2560, intermediate_size: 12288,
                       block_auto_adjust_ff_dim: true, block_multiple_of: 256,
                       block_ffn_dim_multiplier: 1}\
                      """)
                  .with(SHORT_CONVOLUTION)
                  .naming(LFM_2_MODULES)
                  .being(Trait.HEADS_BY_LAYER)),
          entry(
              "lfm2_moe",
              named(
                      "lfm2moe",
                      LFM_2,
                      """
                      {hidden_size: 2048, intermediate_size: 7168, moe_intermediate_size: 1792,
                       num_dense_layers: 2, num_experts: 32, num_experts_per_tok: 4,
                       routed_scaling_factor: 1, norm_topk_prob: true, expert_gating_func: 2}\
                      """)
                  .with(SHORT_CONVOLUTION)
                  .with(HubFamilies.EXPERTS)
                  .with(
                      integer("num_dense_layers", "leading_dense_block_count"),
                      integer("expert_gating_func", "expert_gating_func"),
                      real("routed_scaling_factor", "expert_weights_scale"))
                  .naming(LFM_2_MODULES)
                  .holding(Map.of("feed_forward.expert_bias", "exp_probs_b.bias"))
                  .being(Trait.HEADS_BY_LAYER)),
          entry(
              "granitemoehybrid",
              named(
                      "granitehybrid",
                      """
                      {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                       num_attention_heads: 32, max_position_embeddings: 2048,
                       rms_norm_eps: 1e-6, rope_theta: 1e4, eos_token_id: 2,
                       embedding_multiplier: 1, residual_multiplier: 1, attention_multiplier: 1,
                       logits_scaling: 1, attention_bias: false, num_local_experts: 8,
                       num_experts_per_tok: 2, shared_intermediate_size: 1024,
                       position_embedding_type: none, mamba_n_heads: 128, mamba_n_groups: 1,
                       mamba_d_state: 256, mamba_d_conv: 4, mamba_expand: 2,
                       mamba_conv_bias: true, mamba_proj_bias: false}\
                      """)
                  .with(HubFamilies.GRANITE)
                  .with(
                      integer("num_local_experts", "expert_count"),
                      integer("num_experts_per_tok", "expert_used_count"),
                      integer("shared_intermediate_size", "expert_shared_feed_forward_length"),
                      integer("mamba_d_conv", "ssm.conv_kernel"),
                      integer("mamba_d_state", "ssm.state_size"),
                      integer("mamba_n_groups", "ssm.group_count"),
                      integer("mamba_n_heads", "ssm.time_step_rank"),
                      integer("mamba_expand*hidden_size", "ssm.inner_size"))
                  .naming(GRANITE_MODULES)
                  .holding(MAMBA_TENSORS)
                  .being(Trait.HEADS_BY_LAYER, Trait.STATE_SPACE)),
          entry(
              "falcon_h1",
              named(
                      "falcon-h1",
                      """
                      {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32,
                       num_attention_heads: 32, num_key_value_heads: 8,
                       max_position_embeddings: 8192, rms_norm_eps: 1e-5, rope_theta: 1e4,
                       eos_token_id: 2, attention_bias: false, mlp_bias: false,
                       mamba_d_ssm: 1024, mamba_n_heads: 128, mamba_n_groups: 1,
                       mamba_d_state: 256, mamba_d_conv: 4, mamba_conv_bias: true,
                       mamba_proj_bias: false, mamba_rms_norm: false,
                       mamba_norm_before_gate: true, lm_head_multiplier: 1,
                       embedding_multiplier: 1, mlp_multipliers: [1, 1], key_multiplier: 1,
                       attention_out_multiplier: 1, attention_in_multiplier: 1,
                       ssm_multipliers: [1, 1, 1, 1, 1], ssm_in_multiplier: 1,
                       ssm_out_multiplier: 1}\
                      """)
                  .with(
                      integer("mamba_d_conv", "ssm.conv_kernel"),
                      integer("mamba_d_state", "ssm.state_size"),
                      integer("mamba_n_groups", "ssm.group_count"),
                      integer("mamba_n_heads", "ssm.time_step_rank"),
                      integer("mamba_d_ssm", "ssm.inner_size"))
                  .naming(FALCON_MODULES)
                  .holding(FALCON_TENSORS)
                  .being(Trait.STATE_SPACE)),
          entry(
              "jamba",
              named(
                      "jamba",
                      """
                      {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32,
                       num_attention_heads: 32, num_key_value_heads: 8,
                       max_position_embeddings: 262144, rms_norm_eps: 1e-6, eos_token_id: 2,
                       num_experts: 16, num_experts_per_tok: 2, attn_layer_period: 8,
                       attn_layer_offset: 4, mamba_d_state: 16, mamba_d_conv: 4,
                       mamba_expand: 2, mamba_conv_bias: true, mamba_proj_bias: false}\
                      """)
                  .with(
                      integer("num_experts", "expert_count"),
                      integer("num_experts_per_tok", "expert_used_count"),
                      integer("mamba_d_conv", "ssm.conv_kernel"),
                      integer("mamba_d_state", "ssm.state_size"),
                      integer("mamba_expand*hidden_size", "ssm.inner_size"),
                      integer("hidden_size/16", "ssm.time_step_rank"),
                      integer("mamba_dt_rank", "ssm.time_step_rank"))
                  .naming(JAMBA_MODULES)
                  .holding(MAMBA_TENSORS)
                  .being(Trait.HEADS_BY_LAYER)),
          entry(
              "mamba",
              named(
                      "mamba",
                      MAMBA,
                      """
                      {hidden_size: 768, num_hidden_layers: 32, state_size: 16,
                       eos_token_id: 0, tie_word_embeddings: true}\
                      """)
                  .with(
                      real("layer_norm_epsilon", "attention.layer_norm_rms_epsilon"),
                      integer("conv_kernel", "ssm.conv_kernel"),
                      integer("state_size", "ssm.state_size"),
                      integer("expand*hidden_size", "ssm.inner_size"),
                      integer("hidden_size/16", "ssm.time_step_rank"),
                      integer("time_step_rank", "ssm.time_step_rank"))
                  .naming(MIXER_MODULES)
                  .holding(MIXER_TENSORS)),
          entry(
              "mamba2",
              named(
                      "mamba2",
                      MAMBA,
                      """
                      {hidden_size: 4096, num_hidden_layers: 64, num_heads: 128, head_dim: 64,
                       state_size: 128, n_groups: 8, eos_token_id: 2,
                       tie_word_embeddings: false}\
                      """)
                  .with(
                      real("layer_norm_epsilon", "attention.layer_norm_rms_epsilon"),
                      integer("conv_kernel", "ssm.conv_kernel"),
                      integer("state_size", "ssm.state_size"),
                      integer("n_groups", "ssm.group_count"),
                      integer("num_heads", "ssm.time_step_rank"),
                      integer("num_heads*head_dim", "ssm.inner_size"))
                  .naming(MIXER_MODULES)
                  .holding(MIXER_TENSORS)
                  .being(Trait.STATE_SPACE)));

  private HubRecurrentFamilies() {}
}
