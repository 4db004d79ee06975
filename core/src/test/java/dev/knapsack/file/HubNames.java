package dev.knapsack.file;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The names that the hub has for what a GGUF file of an architecture holds. */
final class HubNames {
  private static final String DELTA_RULE =
      """
      post_attention_norm post_attention_layernorm
      ssm_conv1d linear_attn.conv1d
      ssm_a linear_attn.A_log
      ssm_dt.bias linear_attn.dt_bias
      ssm_ba linear_attn.in_proj_ba
      ssm_beta linear_attn.in_proj_b
      ssm_alpha linear_attn.in_proj_a
      attn_qkv linear_attn.in_proj_qkv
      attn_gate linear_attn.in_proj_z
      ssm_norm linear_attn.norm
      ssm_out linear_attn.out_proj
      key linear_conv_kernel_dim ssm.conv_kernel
      key linear_key_head_dim ssm.state_size
      key linear_num_key_heads ssm.group_count
      key linear_num_value_heads ssm.time_step_rank
      """;

  private static final String LFM_2 =
      """
      attn_norm operator_norm
      ffn_norm ffn_norm
      attn_output self_attn.out_proj
      attn_q_norm self_attn.q_layernorm
      attn_k_norm self_attn.k_layernorm
      shortconv.in_proj conv.in_proj
      shortconv.conv conv.conv
      shortconv.out_proj conv.out_proj
      ffn_gate feed_forward.w1
      ffn_up feed_forward.w3
      ffn_down feed_forward.w2
      key norm_eps attention.layer_norm_rms_epsilon
      key conv_L_cache shortconv.l_cache
      """;

  private static final String MAMBA =
      """
      ssm_in mamba.in_proj
      ssm_conv1d mamba.conv1d
      ssm_a mamba.A_log
      ssm_d mamba.D
      ssm_dt.bias mamba.dt_bias
      ssm_norm mamba.norm
      ssm_out mamba.out_proj
      """;

  private static final String MIXER =
      MAMBA.replace("mamba.", "mixer.")
          + """
          attn_norm norm
          key layer_norm_epsilon attention.layer_norm_rms_epsilon
          key conv_kernel ssm.conv_kernel
          key state_size ssm.state_size
          """;

  private static final String NEMOTRON =
      MIXER
          + """
          attn_q mixer.q_proj
          attn_k mixer.k_proj
          attn_v mixer.v_proj
          attn_output mixer.o_proj
          ffn_up mixer.up_proj
          ffn_down mixer.down_proj
          ffn_gate_inp mixer.gate
          exp_probs_b.bias mixer.gate.e_score_correction_bias
          ffn_up_exps mixer.experts.#.up_proj
          ffn_down_exps mixer.experts.#.down_proj
          ffn_up_shexp mixer.shared_experts.up_proj
          ffn_down_shexp mixer.shared_experts.down_proj
          key ssm_state_size ssm.state_size
          key n_groups ssm.group_count
          key mamba_num_heads ssm.time_step_rank
          key n_routed_experts expert_count
          key n_shared_experts expert_shared_count
          key moe_shared_expert_intermediate_size expert_shared_feed_forward_length
          key routed_scaling_factor expert_weights_scale
          """;

  private static final String ROUTED_EXPERTS =
      """
      ffn_gate_shexp mlp.shared_experts.gate_proj
      ffn_up_shexp mlp.shared_experts.up_proj
      ffn_down_shexp mlp.shared_experts.down_proj
      exp_probs_b.bias mlp.gate.e_score_correction_bias
      nextn.eh_proj eh_proj
      nextn.enorm enorm
      nextn.hnorm hnorm
      nextn.shared_head_norm shared_head.norm
      key n_routed_experts expert_count
      key n_shared_experts expert_shared_count
      key first_k_dense_replace leading_dense_block_count
      key n_group expert_group_count
      key topk_group expert_group_used_count
      key routed_scaling_factor expert_weights_scale
      """;

  /**
   * A line is a module or tensor and the hub's name of it, with a number if it is one of several in
   * one; or a key of the configuration and GGUF's.
   */
  private static final Map<String, String> LINES =
      Map.ofEntries(
          Map.entry("qwen3next", DELTA_RULE),
          Map.entry("qwen35", DELTA_RULE),
          Map.entry(
              "qwen35moe",
              DELTA_RULE
                  + """
                  ffn_gate_exps mlp.experts.gate_up_proj 0
                  ffn_up_exps mlp.experts.gate_up_proj 1
                  ffn_down_exps mlp.experts.down_proj 0
                  """),
          Map.entry("lfm2", LFM_2),
          Map.entry(
              "lfm2moe",
              LFM_2
                  + """
                  ffn_gate_inp feed_forward.gate
                  exp_probs_b.bias feed_forward.expert_bias
                  ffn_gate_exps feed_forward.experts.#.w1
                  ffn_up_exps feed_forward.experts.#.w3
                  ffn_down_exps feed_forward.experts.#.w2
                  key num_dense_layers leading_dense_block_count
                  """),
          Map.entry(
              "granitehybrid",
              MAMBA
                  + """
                  ffn_gate_inp block_sparse_moe.router.layer
                  ffn_gate_exps block_sparse_moe.input_linear.weight 0
                  ffn_up_exps block_sparse_moe.input_linear.weight 1
                  ffn_down_exps block_sparse_moe.output_linear.weight 0
                  ffn_gate shared_mlp.input_linear.weight 0
                  ffn_up shared_mlp.input_linear.weight 1
                  ffn_down shared_mlp.output_linear
                  ffn_gate_shexp shared_mlp.input_linear.weight 0
                  ffn_up_shexp shared_mlp.input_linear.weight 1
                  ffn_down_shexp shared_mlp.output_linear
                  key num_local_experts expert_count
                  key shared_intermediate_size feed_forward_length
                  key shared_intermediate_size expert_shared_feed_forward_length
                  key mamba_d_conv ssm.conv_kernel
                  key mamba_d_state ssm.state_size
                  key mamba_n_groups ssm.group_count
                  key mamba_n_heads ssm.time_step_rank
                  """),
          Map.entry(
              "falcon-h1",
              MAMBA
                  + """
                  ffn_norm pre_ff_layernorm.weight
                  ffn_gate feed_forward.gate_proj
                  ffn_up feed_forward.up_proj
                  ffn_down feed_forward.down_proj
                  key mamba_d_ssm ssm.inner_size
                  key mamba_d_conv ssm.conv_kernel
                  key mamba_d_state ssm.state_size
                  key mamba_n_groups ssm.group_count
                  key mamba_n_heads ssm.time_step_rank
                  """),
          Map.entry(
              "jamba",
              MAMBA
                  + """
                  ssm_x mamba.x_proj
                  ssm_dt mamba.dt_proj
                  ssm_dt.bias mamba.dt_proj.bias
                  ssm_dt_norm mamba.dt_layernorm
                  ssm_b_norm mamba.b_layernorm
                  ssm_c_norm mamba.c_layernorm
                  ffn_norm pre_ff_layernorm
                  ffn_gate feed_forward.gate_proj
                  ffn_up feed_forward.up_proj
                  ffn_down feed_forward.down_proj
                  ffn_gate_inp feed_forward.router
                  ffn_gate_exps feed_forward.experts.#.gate_proj
                  ffn_up_exps feed_forward.experts.#.up_proj
                  ffn_down_exps feed_forward.experts.#.down_proj
                  key mamba_d_conv ssm.conv_kernel
                  key mamba_d_state ssm.state_size
                  """),
          Map.entry("nemotron_h", NEMOTRON),
          Map.entry("nemotron_h_moe", NEMOTRON),
          Map.entry(
              "glm4",
              """
              post_attention_norm post_self_attn_layernorm
              ffn_norm post_attention_layernorm
              post_ffw_norm post_mlp_layernorm
              ffn_up mlp.gate_up_proj
              """),
          Map.entry("glm4moe", ROUTED_EXPERTS),
          Map.entry(
              "deepseek2",
              ROUTED_EXPERTS
                  + """
                  ffn_norm post_attention_layernorm
                  attn_q_a self_attn.q_a_proj
                  attn_q_a_norm self_attn.q_a_layernorm
                  attn_q_b self_attn.q_b_proj
                  attn_kv_a_mqa self_attn.kv_a_proj_with_mqa
                  attn_kv_a_norm self_attn.kv_a_layernorm
                  key q_lora_rank attention.q_lora_rank
                  key kv_lora_rank attention.kv_lora_rank
                  key qk_rope_head_dim rope.dimension_count
                  key v_head_dim attention.value_length_mla
                  """),
          Map.entry(
              "ernie4_5-moe",
              """
              exp_probs_b.bias mlp.moe_statics.e_score_correction_bias
              ffn_gate_shexp mlp.shared_experts.gate_proj
              ffn_up_shexp mlp.shared_experts.up_proj
              ffn_down_shexp mlp.shared_experts.down_proj
              key moe_num_experts expert_count
              key moe_k expert_used_count
              key moe_layer_start_index leading_dense_block_count
              key moe_layer_interval interleave_moe_layer_step
              """),
          Map.entry(
              "cohere2",
              """
              key layer_norm_eps attention.layer_norm_epsilon
              key logit_scale logit_scale
              """),
          Map.entry(
              "starcoder2",
              """
              ffn_up mlp.c_fc
              ffn_down mlp.c_proj
              key norm_epsilon attention.layer_norm_epsilon
              """),
          Map.entry(
              "hunyuan-dense",
              """
              attn_q_norm self_attn.query_layernorm
              attn_k_norm self_attn.key_layernorm
              """),
          Map.entry(
              "minimax-m2",
              """
              ffn_gate_inp block_sparse_moe.gate
              ffn_gate_exps block_sparse_moe.experts.#.w1
              ffn_up_exps block_sparse_moe.experts.#.w3
              ffn_down_exps block_sparse_moe.experts.#.w2
              exp_probs_b.bias block_sparse_moe.e_score_correction_bias
              key num_local_experts expert_count
              key intermediate_size expert_feed_forward_length
              """),
          Map.entry(
              "llada",
              """
              attn_norm attn_norm
              attn_q q_proj
              attn_k k_proj
              attn_v v_proj
              attn_output attn_out
              ffn_norm ff_norm
              ffn_gate ff_proj
              ffn_up up_proj
              ffn_down ff_out
              key d_model embedding_length
              key n_layers block_count
              key n_heads attention.head_count
              key n_kv_heads attention.head_count_kv
              key mlp_hidden_size feed_forward_length
              key max_sequence_length context_length
              """),
          Map.entry(
              "mamba",
              MIXER
                  + """
                  ssm_x mixer.x_proj
                  ssm_dt mixer.dt_proj
                  ssm_dt.bias mixer.dt_proj.bias
                  """),
          Map.entry(
              "mamba2",
              MIXER
                  + """
                  key n_groups ssm.group_count
                  key num_heads ssm.time_step_rank
                  """));

  /** The {@code model_type} of architectures that are named otherwise there. */
  private static final Map<String, String> TYPES =
      Map.ofEntries(
          Map.entry("mistral3", "ministral3"),
          Map.entry("gemma3", "gemma3_text"),
          Map.entry("qwen2moe", "qwen2_moe"),
          Map.entry("qwen3moe", "qwen3_moe"),
          Map.entry("gpt-oss", "gpt_oss"),
          Map.entry("glm4moe", "glm4_moe"),
          Map.entry("deepseek2", "deepseek_v3"),
          Map.entry("ernie4_5-moe", "ernie4_5_moe"),
          Map.entry("hunyuan-dense", "hunyuan_v1_dense"),
          Map.entry("dream", "Dream"),
          Map.entry("nemotron_h_moe", "nemotron_h"),
          Map.entry("qwen3next", "qwen3_next"),
          Map.entry("qwen35", "qwen3_5_text"),
          Map.entry("qwen35moe", "qwen3_5_moe_text"),
          Map.entry("lfm2moe", "lfm2_moe"),
          Map.entry("granitehybrid", "granitemoehybrid"));

  /** The hub's name of a module or tensor, and its place in it; -1 where it is all of it. */
  record Name(String name, int place) {}

  private final Map<String, Name> names = new TreeMap<>();
  private final List<String[]> keys;

  HubNames(String architecture) {
    List<String[]> lines =
        LINES.getOrDefault(architecture, "").lines().map(line -> line.split(" ", -1)).toList();
    keys = lines.stream().filter(line -> line[0].equals("key")).toList();
    for (String[] line : lines) {
      if (!line[0].equals("key")) {
        int place = line.length > 2 ? Integer.parseInt(line[2]) : -1;
        names.put(line[0], new Name(line[1], place));
      }
    }
  }

  static String type(String architecture) {
    return TYPES.getOrDefault(architecture, architecture.replace('-', '_'));
  }

  @Nullable Name find(String gguf) {
    return names.get(gguf);
  }

  /** Keys of the configuration, each with GGUF's. */
  List<String[]> keys() {
    return keys.stream().map(line -> new String[] {line[1], line[2]}).toList();
  }
}
