package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The ways in which the layers of a {@code config.json} differ, in GGUF's words. */
final class HubLayers {
  private static final String PATTERN = "hybrid_override_pattern";

  private final HubConfig config;
  private final HubFamily family;

  HubLayers(HubConfig config) {
    this.config = config;
    this.family = config.family();
  }

  /** Says whether some layers have experts, in a configuration that says what each layer is. */
  static boolean haveExperts(JsonObject json) {
    for (String key : List.of("layer_types", "layers_block_type")) {
      if (json.get(key) instanceof JsonArray types && types.contains(new JsonPrimitive("moe"))) {
        return true;
      }
    }
    return json.get(PATTERN) instanceof JsonPrimitive pattern
        && pattern.getAsString().contains("E");
  }

  void put(MetadataBuilder metadata) {
    windows(metadata);
    if (family.leavesLayersUnrotated()) {
      metadata.flags(config.key("rope.layers"), rotated());
    }
    if (family.is(HubFamily.Trait.HEADS_BY_LAYER)) {
      boolean[] attentive = attentive();
      long[] heads = new long[attentive.length];
      for (int l = 0; l < heads.length; l++) {
        heads[l] = attentive[l] ? config.kvHeads() : 0;
      }
      metadata.integers(config.key("attention.head_count_kv"), heads);
    }
    if (family.is(HubFamily.Trait.PARTS_BY_LAYER)) {
      parts(metadata);
    }
    if (family.is(HubFamily.Trait.FLAGS_BY_LAYER)) {
      boolean[] recurrent = attentive();
      for (int l = 0; l < recurrent.length; l++) {
        recurrent[l] = !recurrent[l];
      }
      metadata.flags(config.key("attention.recurrent_layers"), recurrent);
    }
  }

  private void parts(MetadataBuilder metadata) {
    long[] heads = new long[config.layers()];
    long[] widths = new long[heads.length];
    for (int l = 0; l < heads.length; l++) {
      switch (part(l, heads.length)) {
        case "*", "attention", "full_attention" -> heads[l] = config.kvHeads();
        case "-", "mlp" -> widths[l] = config.required("intermediate_size");
        case "E", "moe" -> widths[l] = config.required("moe_intermediate_size");
        case "M", "mamba", "linear_attention" -> {}
        default ->
            throw config.wrong(
                PATTERN,
                "must name a part for each of %d layers: M, *, - or E".formatted(heads.length));
      }
    }
    metadata.integers(config.key("attention.head_count_kv"), heads);
    metadata.integers(config.key("feed_forward_length"), widths);
  }

  private String part(int layer, int layers) {
    JsonArray types = types("layers_block_type", layers);
    types = types == null ? types("layer_types", layers) : types;
    if (types != null) {
      return types.get(layer) instanceof JsonPrimitive name ? name.getAsString() : "";
    }
    String pattern =
        config.value(PATTERN) instanceof JsonPrimitive given ? given.getAsString() : "";
    return layer < pattern.length() ? pattern.substring(layer, layer + 1) : "";
  }

  /** Marks the layers that have attention; the others carry states. */
  private boolean[] attentive() {
    boolean[] attentive = new boolean[config.layers()];
    JsonArray types = types("layer_types", attentive.length);
    if (types == null) {
      types = types("layers_block_type", attentive.length);
    }
    JsonArray listed = config.value("full_attn_idxs") instanceof JsonArray indices ? indices : null;
    long period = config.whole("full_attention_interval", config.whole("attn_layer_period", 0));
    long offset = config.whole("attn_layer_offset", Math.max(0, period - 1));
    for (int l = 0; l < attentive.length; l++) {
      if (types != null) {
        attentive[l] = isAttentive(types.get(l));
      } else if (listed != null) {
        attentive[l] = listed.contains(new JsonPrimitive(l));
      } else if (period > 0) {
        attentive[l] = l % period == offset;
      } else {
        throw config.wrong("layer_types", "is missing");
      }
    }
    return attentive;
  }

  private boolean isAttentive(JsonElement type) {
    return switch (type instanceof JsonPrimitive name ? name.getAsString() : "") {
      case "full_attention", "attention" -> true;
      case "linear_attention", "mamba", "conv" -> false;
      default ->
          throw config.wrong(
              "layer_types",
              type
                  + " is not supported; supported are full_attention and, for layers with states,"
                  + " linear_attention, mamba and conv");
    };
  }

  /** The kinds of the layers under a key, or null where it is not there. */
  private @Nullable JsonArray types(String key, int layers) {
    if (!(config.value(key) instanceof JsonArray types)) {
      return null;
    }
    if (types.size() < layers) {
      throw config.wrong(key, types.size() + " types for " + layers + " layers");
    }
    return types;
  }

  private void windows(MetadataBuilder metadata) {
    HubFamily.Windows rule = family.windows();
    if (rule == HubFamily.Windows.NO_LAYER) {
      return;
    }
    boolean unused =
        switch (rule) {
          case ALL_IF_USED, LAST_IF_USED, EVERY_SECOND_IF_USED, UNROTATED_IF_USED ->
              !config.flag("use_sliding_window");
          default -> false;
        };
    long window = unused ? 0 : config.whole("sliding_window", 0);
    // GGUF has a usual window and pattern for those that have a default here.
    if (window > 0 || (family.defaults().containsKey("sliding_window") && !unused)) {
      metadata.integer(config.key("attention.sliding_window"), window);
      metadata.flags(config.key("attention.sliding_window_pattern"), windowed(rule));
    }
  }

  private boolean[] windowed(HubFamily.Windows rule) {
    boolean[] windowed = new boolean[config.layers()];
    JsonArray types = rule.byLayerTypes() ? types("layer_types", windowed.length) : null;
    if (types != null) {
      for (int l = 0; l < windowed.length; l++) {
        windowed[l] = isWindowed(types.get(l));
      }
      return windowed;
    }
    boolean[] rotated = rotated();
    long period = Math.max(1, config.whole("sliding_window_pattern", 1));
    long bound = config.whole("max_window_layers", 0);
    for (int l = 0; l < windowed.length; l++) {
      windowed[l] =
          switch (rule) {
            case NO_LAYER -> false;
            case ALL, ALL_IF_USED -> true;
            case LAST_IF_USED -> l >= bound;
            case EVERY_SECOND_IF_USED -> l % 2 == 0 && l < bound;
            case UNROTATED_IF_USED -> !rotated[l];
            case EVERY_SECOND -> l % 2 == 0;
            case ALL_BUT_EVERY_NTH -> (l + 1) % period != 0;
          };
    }
    return windowed;
  }

  private boolean isWindowed(JsonElement type) {
    return switch (type instanceof JsonPrimitive name ? name.getAsString() : "") {
      case "sliding_attention" -> true;
      case "full_attention" -> false;
      default ->
          throw config.wrong(
              "layer_types",
              type + " is not supported; supported are full_attention and sliding_attention");
    };
  }

  /**
   * Marks the layers that have a rotary embedding; the key that says so is named for the others.
   */
  private boolean[] rotated() {
    boolean[] rotated = new boolean[config.layers()];
    long interval = config.whole("no_rope_layer_interval", 0);
    JsonArray given = config.value("no_rope_layers") instanceof JsonArray flags ? flags : null;
    if (given != null && given.size() < rotated.length) {
      throw config.wrong(
          "no_rope_layers", given.size() + " flags for " + rotated.length + " layers");
    }
    for (int l = 0; l < rotated.length; l++) {
      rotated[l] =
          given != null
              ? HubConfig.number(given.get(l)) != 0
              : interval == 0 || (l + 1) % interval != 0;
    }
    return rotated;
  }
}
