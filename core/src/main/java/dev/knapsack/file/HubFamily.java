package dev.knapsack.file;

import static java.util.Map.entry;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * A model family as it is written on the hub, and GGUF's names for the same: one row a family, with
 * what the reference implementation (the transformers library, 5.18) takes for each key of {@code
 * config.json} that a directory leaves out.
 *
 * @param architecture as GGUF names it
 * @param keys the keys of {@code config.json} beyond the common ones, by GGUF key
 * @param modules the GGUF names of layer modules that are not named the common way
 * @param normsPlusOne whether norm weights are stored less one
 * @param windows which layers see a sliding window only
 * @param defaults what a key is where it is left out; a key without one here is none
 */
record HubFamily(
    String architecture,
    List<Key> keys,
    Map<String, String> modules,
    boolean normsPlusOne,
    Windows windows,
    Map<String, JsonElement> defaults) {

  /** A key of {@code config.json} and the GGUF key, after the architecture, for the same value. */
  record Key(String hub, String gguf, ValueType type) {}

  /** The layers of a family that see a sliding window only, if the configuration has a window. */
  enum Windows {
    NO_LAYER,
    ALL,
    /** All, if {@code use_sliding_window}. */
    ALL_IF_USED,
    /** The layers from {@code max_window_layers} on, if {@code use_sliding_window}. */
    LAST_IF_USED,
    /** Every second of those before {@code max_window_layers}, if {@code use_sliding_window}. */
    EVERY_SECOND_IF_USED,
    /** The layers without a rotary embedding, if {@code use_sliding_window}. */
    UNROTATED_IF_USED,
    /** The first of every two. */
    EVERY_SECOND,
    /** All but the last of every {@code sliding_window_pattern}. */
    ALL_BUT_EVERY_NTH;

    /** Says whether {@code layer_types}, where it is given, decides in place of the rule. */
    boolean byLayerTypes() {
      return this != NO_LAYER && this != ALL && this != ALL_IF_USED;
    }
  }

  /** Every family has these. */
  static final List<Key> COMMON_KEYS =
      List.of(
          integer("max_position_embeddings", "context_length"),
          integer("hidden_size", "embedding_length"),
          integer("num_hidden_layers", "block_count"),
          integer("vocab_size", "vocab_size"),
          integer("intermediate_size", "feed_forward_length"),
          integer("num_attention_heads", "attention.head_count"),
          real("rms_norm_eps", "attention.layer_norm_rms_epsilon"));

  private static final List<Key> EXPERTS =
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

  /** The families by {@code model_type}. */
  private static final Map<String, HubFamily> FAMILIES =
      Map.ofEntries(
          entry(
              "llama",
              of(
                  "llama",
                  Windows.NO_LAYER,
                  """
                  {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6,
                   rope_theta: 1e4, eos_token_id: 2, attention_bias: false, mlp_bias: false}\
                  """)),
          entry("mistral", of("llama", Windows.ALL, MISTRAL)),
          entry("mistral3", of("mistral3", Windows.ALL, MISTRAL)),
          entry(
              "ministral3",
              of(
                  "mistral3",
                  Windows.ALL,
                  """
                  {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 34,
                   num_attention_heads: 32, num_key_value_heads: 8, head_dim: 128,
                   max_position_embeddings: 262144, rms_norm_eps: 1e-5, rope_theta: 1e4,
                   eos_token_id: 2, rope_parameters:
                   {rope_type: yarn, rope_theta: 1e6, factor: 16, beta_fast: 32, beta_slow: 1,
                    original_max_position_embeddings: 16384, mscale: 1, mscale_all_dim: 1,
                    llama_4_scaling_beta: 0.1}}\
                  """)),
          entry(
              "mixtral",
              of(
                  "llama",
                  Windows.ALL,
                  """
                  {hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32,
                   num_attention_heads: 32, num_key_value_heads: 8,
                   max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 1e6,
                   eos_token_id: 2, num_local_experts: 8, num_experts_per_tok: 2}\
                  """,
                  WIDE_EXPERTS)),
          entry("qwen2", of("qwen2", Windows.LAST_IF_USED, QWEN)),
          entry(
              "qwen3",
              of("qwen3", Windows.LAST_IF_USED, QWEN, "{head_dim: 128, attention_bias: false}")),
          entry(
              "qwen2_moe",
              of(
                  "qwen2moe",
                  Windows.EVERY_SECOND_IF_USED,
                  QWEN,
                  """
                  {hidden_size: 2048, intermediate_size: 5632, num_hidden_layers: 24,
                   num_attention_heads: 16, num_key_value_heads: 16, num_experts: 60,
                   num_experts_per_tok: 4, moe_intermediate_size: 1408,
                   shared_expert_intermediate_size: 5632, norm_topk_prob: false,
                   qkv_bias: true}\
                  """,
                  EXPERTS)),
          entry(
              "qwen3_moe",
              of(
                  "qwen3moe",
                  Windows.ALL_IF_USED,
                  QWEN,
                  """
                  {hidden_size: 2048, intermediate_size: 6144, num_hidden_layers: 24,
                   num_attention_heads: 32, num_key_value_heads: 4, num_experts: 128,
                   num_experts_per_tok: 8, moe_intermediate_size: 768, norm_topk_prob: false,
                   attention_bias: false}\
                  """,
                  EXPERTS)),
          entry(
              "smollm3",
              of(
                  "smollm3",
                  Windows.UNROTATED_IF_USED,
                  """
                  {hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 36,
                   num_attention_heads: 16, num_key_value_heads: 4,
                   max_position_embeddings: 32768, rms_norm_eps: 1e-6, rope_theta: 2e6,
                   eos_token_id: 128001, use_sliding_window: false, no_rope_layer_interval: 4,
                   tie_word_embeddings: true, attention_bias: false, mlp_bias: false}\
                  """)),
          entry(
              "granite",
              of(
                  "granite",
                  Windows.NO_LAYER,
                  """
                  {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6,
                   rope_theta: 1e4, eos_token_id: 2, embedding_multiplier: 1,
                   residual_multiplier: 1, attention_multiplier: 1, logits_scaling: 1,
                   attention_bias: false, mlp_bias: false}\
                  """,
                  GRANITE)),
          entry(
              "phi3",
              of(
                  "phi3",
                  Windows.ALL,
                  """
                  {hidden_size: 3072, intermediate_size: 8192, num_hidden_layers: 32,
                   num_attention_heads: 32, max_position_embeddings: 4096,
                   original_max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_theta: 1e4,
                   partial_rotary_factor: 1, eos_token_id: 32000}\
                  """)),
          entry(
              "gemma2",
              gemma(
                  "gemma2",
                  Windows.EVERY_SECOND,
                  """
                  {max_position_embeddings: 8192, rope_theta: 1e4, attn_logit_softcapping: 50,
                   final_logit_softcapping: 30}\
                  """)),
          entry(
              "olmo2",
              new HubFamily(
                  "olmo2",
                  List.of(),
                  OLMO_MODULES,
                  false,
                  Windows.NO_LAYER,
                  defaults(
                      """
                      {hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32,
                       num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-5,
                       rope_theta: 1e4, eos_token_id: 50279, attention_bias: false}\
                      """))),
          entry(
              "seed_oss",
              new HubFamily(
                  "seed_oss",
                  List.of(),
                  AFTER_ATTENTION,
                  false,
                  Windows.NO_LAYER,
                  defaults(
                      """
                      {hidden_size: 4096, intermediate_size: 27648, num_hidden_layers: 64,
                       num_attention_heads: 80, num_key_value_heads: 8, head_dim: 128,
                       max_position_embeddings: 524288, rms_norm_eps: 1e-6, rope_theta: 1e4,
                       eos_token_id: 2, attention_bias: true, attention_out_bias: false,
                       mlp_bias: false}\
                      """))),
          entry("gemma3", gemma("gemma3", Windows.ALL_BUT_EVERY_NTH, GEMMA_3)),
          entry("gemma3_text", gemma("gemma3", Windows.ALL_BUT_EVERY_NTH, GEMMA_3)),
          entry(
              "gpt_oss",
              new HubFamily(
                  "gpt-oss",
                  WIDE_EXPERTS,
                  AFTER_ATTENTION,
                  false,
                  Windows.EVERY_SECOND,
                  defaults(
                      """
                      {hidden_size: 2880, intermediate_size: 2880, num_hidden_layers: 36,
                       num_attention_heads: 64, num_key_value_heads: 8, head_dim: 64,
                       max_position_embeddings: 131072, rms_norm_eps: 1e-5, rope_theta: 150000,
                       sliding_window: 128, num_local_experts: 128, num_experts_per_tok: 4,
                       attention_bias: true, rope_parameters:
                       {rope_type: yarn, factor: 32, beta_fast: 32, beta_slow: 1,
                        truncate: false, original_max_position_embeddings: 4096}}\
                      """))));

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

  /** Says whether layers may see everything, unrotated: the configuration says which. */
  boolean leavesLayersUnrotated() {
    return defaults.containsKey("no_rope_layer_interval");
  }

  /** Says whether a part of each head only may be rotated. */
  boolean rotatesPartly() {
    return defaults.containsKey("partial_rotary_factor");
  }

  private static HubFamily of(String architecture, Windows windows, String defaults) {
    return of(architecture, windows, defaults, List.of());
  }

  private static HubFamily of(
      String architecture, Windows windows, String defaults, List<Key> keys) {
    return of(architecture, windows, defaults, "{}", keys);
  }

  private static HubFamily of(String architecture, Windows windows, String defaults, String own) {
    return of(architecture, windows, defaults, own, List.of());
  }

  private static HubFamily of(
      String architecture, Windows windows, String defaults, String own, List<Key> keys) {
    return new HubFamily(architecture, keys, Map.of(), false, windows, defaults(defaults, own));
  }

  private static HubFamily gemma(String architecture, Windows windows, String own) {
    String common =
        """
        {hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 26,
         num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256, rms_norm_eps: 1e-6,
         query_pre_attn_scalar: 256, sliding_window: 4096, eos_token_id: 1,
         tie_word_embeddings: true, attention_bias: false}\
        """;
    return new HubFamily(architecture, GEMMA, GEMMA_MODULES, true, windows, defaults(common, own));
  }

  /** The defaults of all these texts; later texts win. */
  private static Map<String, JsonElement> defaults(String... texts) {
    Map<String, JsonElement> defaults = new HashMap<>();
    for (String text : texts) {
      defaults.putAll(JsonParser.parseString(text).getAsJsonObject().asMap());
    }
    return Map.copyOf(defaults);
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
