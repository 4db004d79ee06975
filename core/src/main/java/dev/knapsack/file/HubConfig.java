package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A model's {@code config.json}, and what it says in GGUF's words. */
final class HubConfig {
  private static final long MOST_BYTES = 16 << 20;
  private static final int MOST_FACTORS = 1 << 12;

  private final Path file;
  private final JsonObject json;
  private final JsonObject outer;
  private final HubFamily family;

  private HubConfig(Path file, JsonObject json, JsonObject outer, HubFamily family) {
    this.file = file;
    this.json = json;
    this.outer = outer;
    this.family = family;
  }

  /**
   * Reads a configuration; of a model that also sees, the part about text.
   *
   * @throws ModelFileException if the family is not supported
   */
  static HubConfig read(Path directory) {
    Path file = directory.resolve("config.json");
    JsonObject outer = Json.object(file, MOST_BYTES);
    JsonObject json = outer.get("text_config") instanceof JsonObject text ? text : outer;
    String named = typeOf(outer);
    HubFamily family = HubFamily.find(typeOf(json));
    if (family == null) {
      family = HubFamily.find(named);
    }
    if (family == null) {
      throw new ModelFileException(
          file,
          "model_type",
          "'" + named + "' is not supported; supported are " + HubFamily.supported());
    }
    return new HubConfig(file, json, outer, family).checked();
  }

  private static String typeOf(JsonObject json) {
    return json.get("model_type") instanceof JsonPrimitive type ? type.getAsString() : "";
  }

  private HubConfig checked() {
    if (find("quantization_config") instanceof JsonObject quantized) {
      String method =
          quantized.get("quant_method") instanceof JsonPrimitive name ? name.getAsString() : "?";
      if (!method.equals("mxfp4")) {
        throw new ModelFileException(
            file,
            "quantization_config",
            "weights quantised by '"
                + method
                + "'; of safetensors F32, F16, BF16 and gpt-oss' mxfp4 are supported. Take the"
                + " model's GGUF file");
      }
    }
    boolean mixed = find("mlp_only_layers") instanceof JsonArray dense && !dense.isEmpty();
    if (mixed || integer(json, "decoder_sparse_step").orElse(1L) != 1) {
      throw new ModelFileException(
          file, "mlp_only_layers", "only models with experts in every layer are supported");
    }
    return this;
  }

  HubFamily family() {
    return family;
  }

  boolean tied() {
    return find("tie_word_embeddings") instanceof JsonPrimitive tied && tied.getAsBoolean();
  }

  Optional<Long> vocabulary() {
    return integer(json, "vocab_size");
  }

  /** The first token of a key that may hold one or several, such as {@code eos_token_id}. */
  Optional<Long> token(String key) {
    return switch (find(key)) {
      case JsonPrimitive one when one.isNumber() -> Optional.of(one.getAsLong());
      case JsonArray several when !several.isEmpty() -> Optional.of(several.get(0).getAsLong());
      case null, default -> Optional.empty();
    };
  }

  /** Puts the shape of the model. */
  void put(MetadataBuilder metadata, String name) {
    metadata.string("general.architecture", family.architecture());
    metadata.string("general.name", name);
    // Rows of queries and keys lie as the hub has them, which GGUF's llama does not.
    metadata.string(ModelFile.ROPE_PAIRS, "half");
    HubFamily.COMMON_KEYS.forEach(key -> put(metadata, key));
    family.keys().forEach(key -> put(metadata, key));
    rope(metadata);
    Optional<Double> queryScale = real(json, "query_pre_attn_scalar");
    if (queryScale.isPresent() && !queryScale.equals(real(json, "head_dim"))) {
      metadata.real(key("attention.scale"), 1 / Math.sqrt(queryScale.get()));
    }
  }

  /** Tensors that GGUF has and the hub keeps in the configuration. */
  Map<String, float[]> factors() {
    Map<String, float[]> tensors = new LinkedHashMap<>();
    JsonObject rope = ropeParameters();
    for (String length : List.of("long", "short")) {
      if (rope.get(length + "_factor") instanceof JsonArray factors && !factors.isEmpty()) {
        if (factors.size() > MOST_FACTORS) {
          throw wrong(length + "_factor", "has " + factors.size() + " entries");
        }
        float[] values = new float[factors.size()];
        for (int i = 0; i < values.length; i++) {
          values[i] = factors.get(i).getAsFloat();
        }
        tensors.put("rope_factors_" + length + ".weight", values);
      }
    }
    return tensors;
  }

  private void put(MetadataBuilder metadata, HubFamily.Key key) {
    JsonElement value = find(key.hub());
    if (value == null) {
      return;
    }
    if (!(value instanceof JsonPrimitive single)) {
      throw wrong(key.hub(), "must be one value, and is " + value);
    }
    switch (key.type()) {
      case BOOL -> metadata.flag(key(key.gguf()), single.getAsBoolean());
      case FLOAT32 -> metadata.real(key(key.gguf()), single.getAsDouble());
      default -> {
        long number = single.getAsLong();
        if (number < 0 || number > Integer.MAX_VALUE) {
          throw wrong(key.hub(), "must be between 0 and 2^31, and is " + number);
        }
        metadata.integer(key(key.gguf()), number);
      }
    }
  }

  private void rope(MetadataBuilder metadata) {
    JsonObject rope = ropeParameters();
    real(json, "rope_theta")
        .or(() -> real(rope, "rope_theta"))
        .ifPresent(theta -> metadata.real(key("rope.freq_base"), theta));
    if (nested("sliding_attention").isPresent()) {
      real(nested("sliding_attention").get(), "rope_theta")
          .ifPresent(theta -> metadata.real(key("rope.freq_base_swa"), theta));
    }
    real(json, "partial_rotary_factor")
        .or(() -> real(rope, "partial_rotary_factor"))
        .filter(part -> part != 1)
        .ifPresent(
            part -> metadata.integer(key("rope.dimension_count"), Math.round(part * headSize())));
    String type =
        rope.get("rope_type") instanceof JsonPrimitive name
            ? name.getAsString()
            : rope.get("type") instanceof JsonPrimitive name ? name.getAsString() : "default";
    switch (type) {
      case "default" -> {}
      case "linear", "llama3", "yarn" -> scaling(metadata, rope, type);
      case "longrope", "su" -> longRope(metadata, rope);
      default ->
          throw wrong(
              "rope_scaling",
              "type '" + type + "'; supported are linear, llama3, yarn and longrope");
    }
  }

  private void scaling(MetadataBuilder metadata, JsonObject rope, String type) {
    double factor = real(rope, "factor").orElse(1.0);
    metadata.string(key("rope.scaling.type"), type);
    metadata.real(key("rope.scaling.factor"), factor);
    copy(metadata, rope, "low_freq_factor", "rope.scaling.low_freq_factor");
    copy(metadata, rope, "high_freq_factor", "rope.scaling.high_freq_factor");
    copy(metadata, rope, "beta_fast", "rope.scaling.yarn_beta_fast");
    copy(metadata, rope, "beta_slow", "rope.scaling.yarn_beta_slow");
    copy(metadata, rope, "llama_4_scaling_beta", "attention.temperature_scale");
    originalContext()
        .ifPresent(tokens -> {
          metadata.integer(key("rope.scaling.original_context_length"), tokens);
          if (rope.has("llama_4_scaling_beta")) {
            metadata.integer(key("attention.temperature_length"), tokens);
          }
        });
    if (type.equals("yarn")) {
      yarnMagnitude(rope, factor)
          .ifPresent(magnitude ->
              metadata.real(key("rope.scaling.attn_factor"), magnitude / magnitude(factor, 1)));
    }
  }

  /** The magnitude of rotated vectors where the configuration does not leave it to YaRN's rule. */
  private Optional<Double> yarnMagnitude(JsonObject rope, double factor) {
    Optional<Double> given = real(rope, "attention_factor");
    Optional<Double> scale = real(rope, "mscale");
    Optional<Double> all = real(rope, "mscale_all_dim");
    return given.isEmpty() && scale.isPresent() && all.isPresent()
        ? Optional.of(magnitude(factor, scale.get()) / magnitude(factor, all.get()))
        : given;
  }

  private static double magnitude(double factor, double scale) {
    return factor <= 1 ? 1 : 1 + 0.1 * scale * Math.log(factor);
  }

  /** LongRoPE (arXiv 2402.13753): the magnitude grows with the extension of the context. */
  private void longRope(MetadataBuilder metadata, JsonObject rope) {
    double original =
        originalContext()
            .orElseThrow(() -> wrong("original_max_position_embeddings", "is missing"));
    double context = integer(json, "max_position_embeddings").orElse((long) original);
    double extension = context / original;
    double usual =
        extension <= 1 || original <= 1
            ? 1
            : Math.sqrt(1 + Math.log(extension) / Math.log(original));
    metadata.integer(key("rope.scaling.original_context_length"), (long) original);
    metadata.real(key("rope.scaling.attn_factor"), real(rope, "attention_factor").orElse(usual));
  }

  private Optional<Long> originalContext() {
    return integer(ropeParameters(), "original_max_position_embeddings")
        .or(() -> integer(json, "original_max_position_embeddings"));
  }

  private double headSize() {
    return real(json, "head_dim")
        .orElseGet(() ->
            real(json, "hidden_size").orElse(0.0) / real(json, "num_attention_heads").orElse(1.0));
  }

  /** Newer files have one set of parameters, or one for each kind of layer. */
  private JsonObject ropeParameters() {
    Optional<JsonObject> full = nested("full_attention");
    if (full.isPresent()) {
      return full.get();
    }
    return find("rope_parameters") instanceof JsonObject rope
        ? rope
        : find("rope_scaling") instanceof JsonObject rope ? rope : new JsonObject();
  }

  private Optional<JsonObject> nested(String kind) {
    return find("rope_parameters") instanceof JsonObject rope
            && rope.get(kind) instanceof JsonObject parameters
        ? Optional.of(parameters)
        : Optional.empty();
  }

  private void copy(MetadataBuilder metadata, JsonObject from, String hub, String gguf) {
    real(from, hub).ifPresent(value -> metadata.real(key(gguf), value));
  }

  private @Nullable JsonElement find(String key) {
    JsonElement value = json.has(key) ? json.get(key) : outer.get(key);
    return value == null || value.isJsonNull() ? null : value;
  }

  private static Optional<Long> integer(JsonObject object, String key) {
    return object.get(key) instanceof JsonPrimitive value
        ? Optional.of(value.getAsLong())
        : Optional.empty();
  }

  private static Optional<Double> real(JsonObject object, String key) {
    return object.get(key) instanceof JsonPrimitive value
        ? Optional.of(value.getAsDouble())
        : Optional.empty();
  }

  private String key(String name) {
    return family.architecture() + "." + name;
  }

  private ModelFileException wrong(String key, String problem) {
    return new ModelFileException(file, key, problem);
  }
}
