package dev.knapsack.file;

import static java.util.Map.entry;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * How a model family is written on the hub, and how GGUF names the same: one entry a family, saying
 * only what is different about it.
 *
 * @param architecture as GGUF names it
 * @param keys the keys of {@code config.json} beyond the common ones, by GGUF key
 * @param modules the GGUF names of layer modules that are not named the common way
 * @param normsPlusOne whether norm weights are stored less one
 */
record HubFamily(
    String architecture, List<Key> keys, Map<String, String> modules, boolean normsPlusOne) {

  /** A key of {@code config.json} and the GGUF key, after the architecture, for the same value. */
  record Key(String hub, String gguf, ValueType type) {}

  /** Every family has these, if they are in the configuration at all. */
  static final List<Key> COMMON_KEYS =
      List.of(
          integer("max_position_embeddings", "context_length"),
          integer("hidden_size", "embedding_length"),
          integer("num_hidden_layers", "block_count"),
          integer("vocab_size", "vocab_size"),
          integer("intermediate_size", "feed_forward_length"),
          integer("num_attention_heads", "attention.head_count"),
          integer("num_key_value_heads", "attention.head_count_kv"),
          integer("head_dim", "attention.key_length"),
          integer("head_dim", "attention.value_length"),
          real("rms_norm_eps", "attention.layer_norm_rms_epsilon"));

  private static final List<Key> EXPERTS =
      List.of(
          integer("num_experts", "expert_count"),
          integer("num_local_experts", "expert_count"),
          integer("num_experts_per_tok", "expert_used_count"),
          integer("moe_intermediate_size", "expert_feed_forward_length"),
          integer("shared_expert_intermediate_size", "expert_shared_feed_forward_length"),
          flag("norm_topk_prob", "expert_weights_norm"));

  private static final List<Key> WINDOW =
      List.of(integer("sliding_window", "attention.sliding_window"));

  private static final List<Key> GEMMA =
      List.of(
          integer("sliding_window", "attention.sliding_window"),
          real("attn_logit_softcapping", "attn_logit_softcapping"),
          real("final_logit_softcapping", "final_logit_softcapping"),
          real("rope_local_base_freq", "rope.freq_base_swa"));

  private static final List<Key> GRANITE =
      List.of(
          real("embedding_multiplier", "embedding_scale"),
          real("residual_multiplier", "residual_scale"),
          real("attention_multiplier", "attention.scale"),
          real("logits_scaling", "logit_scale"));

  private static final Map<String, String> COMMON_MODULES =
      Map.ofEntries(
          entry("input_layernorm", "attn_norm"),
          entry("self_attn.q_proj", "attn_q"),
          entry("self_attn.k_proj", "attn_k"),
          entry("self_attn.v_proj", "attn_v"),
          entry("self_attn.qkv_proj", "attn_qkv"),
          entry("self_attn.o_proj", "attn_output"),
          entry("self_attn.q_norm", "attn_q_norm"),
          entry("self_attn.k_norm", "attn_k_norm"),
          entry("post_attention_layernorm", "ffn_norm"),
          entry("mlp.gate_proj", "ffn_gate"),
          entry("mlp.up_proj", "ffn_up"),
          entry("mlp.gate_up_proj", "ffn_up"),
          entry("mlp.down_proj", "ffn_down"),
          entry("mlp.gate", "ffn_gate_inp"),
          entry("mlp.router", "ffn_gate_inp"),
          entry("mlp.experts.gate_proj", "ffn_gate_exps"),
          entry("mlp.experts.up_proj", "ffn_up_exps"),
          entry("mlp.experts.down_proj", "ffn_down_exps"),
          entry("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
          entry("mlp.shared_expert.up_proj", "ffn_up_shexp"),
          entry("mlp.shared_expert.down_proj", "ffn_down_shexp"),
          entry("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
          entry("block_sparse_moe.gate", "ffn_gate_inp"),
          entry("block_sparse_moe.experts.w1", "ffn_gate_exps"),
          entry("block_sparse_moe.experts.w2", "ffn_down_exps"),
          entry("block_sparse_moe.experts.w3", "ffn_up_exps"));

  private static final Map<String, String> GEMMA_MODULES =
      Map.of(
          "post_attention_layernorm", "post_attention_norm",
          "pre_feedforward_layernorm", "ffn_norm",
          "post_feedforward_layernorm", "post_ffw_norm");

  private static final Map<String, String> GPT_OSS_MODULES =
      Map.of("post_attention_layernorm", "post_attention_norm");

  /** By {@code model_type}. */
  private static final Map<String, HubFamily> FAMILIES =
      Map.ofEntries(
          entry("llama", of("llama")),
          entry("mistral", of("llama")),
          entry("mixtral", of("llama", EXPERTS)),
          entry("mistral3", of("mistral3")),
          entry("ministral3", of("mistral3")),
          entry("qwen2", of("qwen2")),
          entry("qwen3", of("qwen3")),
          entry("smollm3", of("smollm3")),
          entry("granite", of("granite", GRANITE)),
          entry("phi3", of("phi3", WINDOW)),
          entry("gemma2", new HubFamily("gemma2", GEMMA, GEMMA_MODULES, true)),
          entry("gemma3", new HubFamily("gemma3", GEMMA, GEMMA_MODULES, true)),
          entry("gemma3_text", new HubFamily("gemma3", GEMMA, GEMMA_MODULES, true)),
          entry("qwen2_moe", of("qwen2moe", EXPERTS)),
          entry("qwen3_moe", of("qwen3moe", EXPERTS)),
          entry(
              "gpt_oss", new HubFamily("gpt-oss", both(EXPERTS, WINDOW), GPT_OSS_MODULES, false)));

  /** The family of a {@code model_type}, or null. */
  static @Nullable HubFamily find(String modelType) {
    return FAMILIES.get(modelType);
  }

  static String supported() {
    return String.join(", ", new TreeSet<>(FAMILIES.keySet()));
  }

  /** The GGUF name of a layer's module, or null if the family has no such module. */
  @Nullable String module(String hub) {
    String own = modules.get(hub);
    return own != null ? own : COMMON_MODULES.get(hub);
  }

  private static HubFamily of(String architecture) {
    return of(architecture, List.of());
  }

  private static HubFamily of(String architecture, List<Key> keys) {
    return new HubFamily(architecture, keys, Map.of(), false);
  }

  private static List<Key> both(List<Key> a, List<Key> b) {
    return Stream.concat(a.stream(), b.stream()).toList();
  }

  private static Key integer(String hub, String gguf) {
    return new Key(hub, gguf, ValueType.UINT32);
  }

  private static Key real(String hub, String gguf) {
    return new Key(hub, gguf, ValueType.FLOAT32);
  }

  private static Key flag(String hub, String gguf) {
    return new Key(hub, gguf, ValueType.BOOL);
  }
}
