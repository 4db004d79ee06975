package dev.knapsack.file;

import static java.util.Map.entry;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model family as it is written on the hub, and GGUF's names for the same: one row a family, with
 * what the reference implementation (the transformers library, 5.18) takes for each key of {@code
 * config.json} that a directory leaves out.
 *
 * @param architecture as GGUF names it
 * @param keys the keys of {@code config.json} beyond the common ones, by GGUF key
 * @param modules the GGUF names of layer modules that are not named the common way; several, with
 *     bars between them, are the modules that the rows are split among evenly
 * @param tensors the GGUF names of a layer's tensors that are no module's weight or bias
 * @param traits what its files have otherwise than GGUF's
 * @param windows which layers see a sliding window only
 * @param defaults what a key is where it is left out; a key without one here is none
 */
record HubFamily(
    String architecture,
    List<Key> keys,
    Map<String, String> modules,
    Map<String, String> tensors,
    Set<Trait> traits,
    Windows windows,
    Map<String, JsonElement> defaults) {

  /**
   * A key of {@code config.json} and the GGUF key, after the architecture, for the same value. The
   * former may be a product of keys, {@code a*b}, a sum, {@code a+b}, or a part of one, {@code
   * a/16}, rounded up.
   */
  record Key(String hub, String gguf, ValueType type) {}

  /** A way in which the files of a family differ from GGUF's. */
  enum Trait {
    /** Norm weights are stored less one, but for those of recurrent layers. */
    NORMS_PLUS_ONE,
    /** Neighbours are rotated together, as GGUF has it. */
    ADJACENT_PAIRS,
    /** Layers without attention are those that have no key and value heads in GGUF. */
    HEADS_BY_LAYER,
    /** Layers have one part each; in GGUF, those of other kinds have heads or an MLP of width 0. */
    PARTS_BY_LAYER,
    /** Layers without attention are flagged in GGUF. */
    FLAGS_BY_LAYER,
    /** Rates and skips of heads are columns in GGUF, and norms there have a row for each group. */
    STATE_SPACE,
    /** Value heads that have the same keys lie together; in GGUF, the first of each, and so on. */
    HEADS_TOGETHER
  }

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
          entry("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
          entry("mlp.shared_experts.up_proj", "ffn_up_shexp"),
          entry("mlp.shared_experts.down_proj", "ffn_down_shexp"),
          entry("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
          entry("block_sparse_moe.gate", "ffn_gate_inp"),
          entry("block_sparse_moe.experts.w1", "ffn_gate_exps"),
          entry("block_sparse_moe.experts.w2", "ffn_down_exps"),
          entry("block_sparse_moe.experts.w3", "ffn_up_exps"));

  /** A family that is named and stored the common way; later texts of defaults win. */
  static HubFamily named(String architecture, String... defaults) {
    Map<String, JsonElement> all = new HashMap<>();
    for (String text : defaults) {
      all.putAll(JsonParser.parseString(text).getAsJsonObject().asMap());
    }
    return new HubFamily(
        architecture, List.of(), Map.of(), Map.of(), Set.of(), Windows.NO_LAYER, Map.copyOf(all));
  }

  /** The same with keys beyond those it has. */
  HubFamily with(List<Key> more) {
    List<Key> all = new ArrayList<>(keys);
    all.addAll(more);
    return new HubFamily(
        architecture, List.copyOf(all), modules, tensors, traits, windows, defaults);
  }

  HubFamily with(Key... more) {
    return with(List.of(more));
  }

  /** The same under another name. */
  HubFamily called(String name) {
    return new HubFamily(name, keys, modules, tensors, traits, windows, defaults);
  }

  HubFamily naming(Map<String, String> modules) {
    return new HubFamily(architecture, keys, modules, tensors, traits, windows, defaults);
  }

  HubFamily holding(Map<String, String> tensors) {
    return new HubFamily(architecture, keys, modules, tensors, traits, windows, defaults);
  }

  HubFamily being(Trait... traits) {
    return new HubFamily(architecture, keys, modules, tensors, Set.of(traits), windows, defaults);
  }

  HubFamily windowed(Windows windows) {
    return new HubFamily(architecture, keys, modules, tensors, traits, windows, defaults);
  }

  boolean is(Trait trait) {
    return traits.contains(trait);
  }

  /** The GGUF name of a layer's module, or null if the family has no such module. */
  @Nullable String module(String hub) {
    String own = modules.get(hub);
    return own != null ? own : COMMON_MODULES.get(hub);
  }

  /** The key of {@code config.json} that GGUF has under this one; empty if the family has none. */
  Optional<String> hubKey(String gguf) {
    return keys.stream().filter(key -> key.gguf().equals(gguf)).map(Key::hub).findFirst();
  }

  /** Says whether layers may see everything, unrotated: the configuration says which. */
  boolean leavesLayersUnrotated() {
    return defaults.containsKey("no_rope_layer_interval");
  }

  /** Says whether queries and keys are rotated at all. */
  boolean rotates() {
    return defaults.containsKey("rope_theta");
  }

  /** Says whether a part of each head only may be rotated. */
  boolean rotatesPartly() {
    return defaults.containsKey("partial_rotary_factor");
  }

  static Key integer(String hub, String gguf) {
    return new Key(hub, gguf, ValueType.UINT32);
  }

  static Key real(String hub, String gguf) {
    return new Key(hub, gguf, ValueType.FLOAT32);
  }

  static Key flag(String hub, String gguf) {
    return new Key(hub, gguf, ValueType.BOOL);
  }
}
