package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The rotary embedding of a {@code config.json}, in GGUF's words: the parameters stand in {@code
 * rope_scaling} or, in newer files, in {@code rope_parameters}, for all layers or for each kind of
 * layer.
 */
final class HubRope {
  private static final int MOST_FACTORS = 1 << 12;

  private final HubConfig config;
  private final HubFamily family;
  private final JsonObject json;
  private final JsonObject parameters;
  private final String type;

  HubRope(HubConfig config, JsonObject json) {
    this.config = config;
    this.family = config.family();
    this.json = json;
    parameters = parameters();
    String named = text("rope_type").or(() -> text("type")).orElse("default");
    // Phi 3's first files name its scaling otherwise.
    boolean long3 =
        family.architecture().equals("phi3") && (named.equals("su") || named.equals("yarn"));
    type = long3 ? "longrope" : named;
  }

  private JsonObject parameters() {
    checkObject("rope_scaling", json.get("rope_scaling"));
    checkObject("rope_parameters", config.value("rope_parameters"));
    if (json.get("rope_scaling") instanceof JsonObject scaling && !scaling.isEmpty()) {
      return scaling.get("full_attention") instanceof JsonObject full ? full : scaling;
    }
    if (config.value("rope_parameters") instanceof JsonObject given) {
      return given.get("full_attention") instanceof JsonObject full
          ? full
          // One set of parameters is not for a family that has one for each kind of layer.
          : localBase().isPresent() ? new JsonObject() : given;
    }
    return new JsonObject();
  }

  private void checkObject(String key, @Nullable JsonElement json) {
    if (json != null && !json.isJsonNull() && !json.isJsonObject()) {
      throw config.wrong(
          key,
          "must be an object such as {\"rope_type\": \"linear\", \"factor\": 4}, and is " + json);
    }
  }

  /** Of families whose layers with a window rotate by a base of their own. */
  private Optional<Double> localBase() {
    if (!family.defaults().containsKey("rope_local_base_freq")) {
      return Optional.empty();
    }
    return config.value("rope_parameters") instanceof JsonObject rope
            && rope.get("sliding_attention") instanceof JsonObject local
            && local.get("rope_theta") instanceof JsonPrimitive base
        ? Optional.of(config.real("rope_theta", base))
        : config.real("rope_local_base_freq");
  }

  void put(MetadataBuilder metadata) {
    metadata.real(config.key("rope.freq_base"), base());
    localBase().ifPresent(base -> metadata.real(config.key("rope.freq_base_swa"), base));
    if (dimensions() != config.headSize() && !config.latent()) {
      metadata.integer(config.key("rope.dimension_count"), dimensions());
    }
    if (family.is(HubFamily.Trait.HEADS_TOGETHER)) {
      metadata.integers(config.key("rope.dimension_sections"), sections());
    }
    switch (type) {
      case "default", "llama3" -> {} // the latter is all in the factors
      case "dynamic" -> {
        if (alpha() == 0) {
          config.note(
              "rope_scaling 'dynamic' begins past the %,d tokens that the model was trained for,"
                      .formatted(config.required("max_position_embeddings"))
                  + " and is left out");
        }
      }
      case "linear" -> {
        metadata.string(config.key("rope.scaling.type"), type);
        metadata.real(config.key("rope.scaling.factor"), required("factor"));
      }
      case "yarn" -> yarn(metadata);
      case "longrope" -> longRope(metadata);
      default ->
          throw config.wrong(
              "rope_scaling",
              "type '" + type + "'; supported are linear, dynamic, llama3, yarn and longrope");
    }
    temperature(metadata);
  }

  private double base() {
    double base =
        real("rope_theta")
            .or(() -> config.real("rope_theta"))
            .orElseThrow(() -> config.wrong("rope_theta", "is missing"));
    double size = config.headSize();
    return alpha() == 0 ? base : base * Math.pow(alpha(), size / (size - 2));
  }

  /** Hunyuan: what longer texts make of the base; 0 for nothing. */
  private double alpha() {
    boolean own = family.architecture().equals("hunyuan-dense") && type.equals("dynamic");
    return own ? real("alpha").orElse(0.0) : 0;
  }

  private long dimensions() {
    Optional<Long> given = config.integer("rotary_dim");
    if (family.rotatesPartly() && given.isPresent()) {
      return given.get();
    }
    double part =
        family.rotatesPartly()
            ? real("partial_rotary_factor")
                .or(() -> config.real("partial_rotary_factor"))
                .orElse(1.0)
            : 1;
    return (long) (config.headSize() * part);
  }

  /** The dimensions that rotate by time, height and width; all are the same in texts. */
  private int[] sections() {
    int[] sections = {11, 11, 10, 0};
    if (parameters.get("mrope_section") instanceof JsonArray given) {
      for (int i = 0; i < Math.min(3, given.size()); i++) {
        sections[i] = (int) config.real("mrope_section", given.get(i));
      }
    }
    return sections;
  }

  private void yarn(MetadataBuilder metadata) {
    double factor = factor();
    metadata.string(config.key("rope.scaling.type"), type);
    metadata.real(config.key("rope.scaling.factor"), factor);
    metadata.integer(config.key("rope.scaling.original_context_length"), originalContext());
    copyUnlessZero(metadata, "beta_fast", "rope.scaling.yarn_beta_fast");
    copyUnlessZero(metadata, "beta_slow", "rope.scaling.yarn_beta_slow");
    JsonElement truncate = parameters.get("truncate");
    if (truncate != null && (truncate.isJsonNull() || !config.truth("truncate", truncate))) {
      metadata.flag(config.key("rope.scaling.yarn_truncate"), false);
    }
    if (config.latent()) {
      // Scores are scaled, and not what is rotated.
      real("mscale_all_dim")
          .ifPresent(
              all -> metadata.real(config.key("rope.scaling.yarn_log_multiplier"), 0.1 * all));
      return;
    }
    yarnMagnitude(factor)
        .ifPresent(magnitude ->
            metadata.real(
                config.key("rope.scaling.attn_factor"), magnitude / magnitude(factor, 1)));
  }

  /** The magnitude of rotated vectors where the configuration does not leave it to YaRN's rule. */
  private Optional<Double> yarnMagnitude(double factor) {
    Optional<Double> given = real("attention_factor");
    double scale = real("mscale").orElse(0.0);
    double all = real("mscale_all_dim").orElse(0.0);
    return given.isEmpty() && scale != 0 && all != 0
        ? Optional.of(magnitude(factor, scale) / magnitude(factor, all))
        : given;
  }

  private static double magnitude(double factor, double scale) {
    return factor <= 1 ? 1 : 1 + 0.1 * scale * Math.log(factor);
  }

  /** LongRoPE (arXiv 2402.13753): the magnitude grows with the extension of the context. */
  private void longRope(MetadataBuilder metadata) {
    double original = originalContext();
    double extension = factor();
    double usual =
        extension <= 1 || original <= 1
            ? 1
            : Math.sqrt(1 + Math.log(extension) / Math.log(original));
    metadata.integer(config.key("rope.scaling.original_context_length"), (long) original);
    metadata.real(config.key("rope.scaling.attn_factor"), real("attention_factor").orElse(usual));
  }

  /** Mistral 3: queries grow with the position. */
  private void temperature(MetadataBuilder metadata) {
    if (family.architecture().equals("mistral3") && real("llama_4_scaling_beta").isPresent()) {
      metadata.real(config.key("attention.temperature_scale"), real("llama_4_scaling_beta").get());
      metadata.integer(config.key("attention.temperature_length"), originalContext());
    }
  }

  /** The extension of the context, where it is not given by how far it was extended. */
  private double factor() {
    return real("factor")
        .orElseGet(() -> (double) config.required("max_position_embeddings") / originalContext());
  }

  private long originalContext() {
    String key = "original_max_position_embeddings";
    // The key beside the parameters wins, but not over those of a kind of layer.
    Optional<Long> beside = localBase().isPresent() ? Optional.empty() : config.integer(key);
    long tokens =
        beside
            .or(() -> real(key).map(Double::longValue))
            .orElseGet(() -> config.required("max_position_embeddings"));
    if (tokens < 1) {
      throw config.wrong(key, "must be above 0, and is " + tokens);
    }
    return tokens;
  }

  /** Tensors of divisors that GGUF has and the hub keeps in the configuration. */
  Map<String, float[]> factors() {
    return switch (type) {
      case "llama3" -> Map.of("rope_freqs.weight", llama3());
      case "longrope" -> {
        Map<String, float[]> tensors = new LinkedHashMap<>();
        for (String length : List.of("long", "short")) {
          tensors.put("rope_factors_" + length + ".weight", numbers(length + "_factor"));
        }
        yield tensors;
      }
      default -> Map.of();
    };
  }

  /** Llama 3.1's scaling as divisors, which is how GGUF has it. */
  private float[] llama3() {
    double factor = required("factor");
    double low = required("low_freq_factor");
    double high = required("high_freq_factor");
    int dimensions = Math.toIntExact(Math.min(dimensions(), 2L * MOST_FACTORS));
    float[] divisors = new float[dimensions / 2];
    for (int i = 0; i < divisors.length; i++) {
      double turns = originalContext() * Math.pow(base(), -2.0 * i / dimensions) / (2 * Math.PI);
      double keep = Math.clamp((turns - low) / (high - low), 0.0, 1.0);
      divisors[i] = (float) (1 / ((1 - keep) / factor + keep));
    }
    return divisors;
  }

  private float[] numbers(String key) {
    if (!(parameters.get(key) instanceof JsonArray factors) || factors.isEmpty()) {
      throw config.wrong(key, "is missing");
    }
    if (factors.size() > MOST_FACTORS) {
      throw config.wrong(key, "has " + factors.size() + " entries");
    }
    float[] values = new float[factors.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) config.real(key, factors.get(i));
    }
    return values;
  }

  private void copyUnlessZero(MetadataBuilder metadata, String hub, String gguf) {
    real(hub).filter(value -> value != 0).ifPresent(v -> metadata.real(config.key(gguf), v));
  }

  private double required(String key) {
    return real(key).orElseThrow(() -> config.wrong("rope_scaling", key + " is missing"));
  }

  private Optional<Double> real(String key) {
    return Optional.ofNullable(parameters.get(key))
        .filter(value -> !value.isJsonNull())
        .map(value -> config.real(key, value));
  }

  private Optional<String> text(String key) {
    JsonElement value = parameters.get(key);
    return value instanceof JsonPrimitive name ? Optional.of(name.getAsString()) : Optional.empty();
  }
}
