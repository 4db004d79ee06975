package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A model's {@code config.json}, and what it says in GGUF's words.
 *
 * <p>A key that is left out is what the reference implementation takes for it ({@link HubFamily});
 * null is none where there can be none, and otherwise the same as left out.
 */
final class HubConfig {
  static final long MOST_BYTES = 16 << 20;
  private static final int MOST_LAYERS = 1 << 12;
  private static final Set<String> TANH_GELU = Set.of("gelu_pytorch_tanh", "gelu_new");
  private static final Set<String> SILU = Set.of("silu", "swish");

  private static final String SEES_AHEAD = "use_bidirectional_attention";

  /** Gemma 3 whose tokens see those after them. */
  private static final String EMBEDDING_GEMMA = "gemma-embedding";

  private static final Pattern SEVERAL = Pattern.compile("(\\w+)([*+/])(\\w+)");

  /** Other names that some families have for a key. */
  private static final Map<String, List<String>> ALIASES =
      Map.of(
          "num_experts", List.of("num_local_experts"),
          "num_local_experts", List.of("num_experts"),
          "hidden_size", List.of("d_model"),
          "num_hidden_layers", List.of("n_layers"),
          "num_attention_heads", List.of("n_heads"),
          "num_key_value_heads", List.of("n_kv_heads"),
          "head_dim", List.of("attention_head_dim"),
          "intermediate_size", List.of("mlp_hidden_size"),
          "max_position_embeddings", List.of("max_sequence_length"),
          "tie_word_embeddings", List.of("tie_embedding", "weight_tying"));

  /** Keys that mean none when they are null. */
  private static final Set<String> NULLABLE =
      Set.of(
          "sliding_window",
          "attn_logit_softcapping",
          "final_logit_softcapping",
          "block_ffn_dim_multiplier",
          "head_dim",
          "num_key_value_heads",
          "q_lora_rank",
          "eos_token_id",
          "layer_types",
          "no_rope_layers");

  private final Path file;
  private final JsonObject json;
  private final JsonObject outer;
  private final HubFamily family;
  private final EncoderSettings settings;
  private final List<String> notes = new ArrayList<>();

  private HubConfig(Path file, JsonObject json, JsonObject outer, HubFamily family) {
    this.file = file;
    this.json = json;
    this.outer = outer;
    this.family = family;
    settings = EncoderSettings.of(Objects.requireNonNull(file.toAbsolutePath().getParent()));
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
    HubFamily family = HubFamilies.find(typeOf(json));
    if (family == null) {
      family = HubFamilies.find(named);
    }
    if (family == null) {
      throw new ModelFileException(
          file,
          "model_type",
          "'" + named + "' is not supported; supported are " + HubFamilies.supported());
    }
    if (family.is(HubFamily.Trait.PARTS_BY_LAYER) && HubLayers.haveExperts(json)) {
      family = HubRecurrentFamilies.NEMOTRON_H_MOE;
    }
    HubConfig config = new HubConfig(file, json, outer, family);
    if (family.architecture().equals("gemma3") && config.flag(SEES_AHEAD)) {
      config = new HubConfig(file, json, outer, family.called(EMBEDDING_GEMMA));
    }
    return config.checked();
  }

  private static String typeOf(JsonObject json) {
    return json.get("model_type") instanceof JsonPrimitive type ? type.getAsString() : "";
  }

  private HubConfig checked() {
    JsonElement quantization =
        json.has("quantization_config")
            ? json.get("quantization_config")
            : outer.get("quantization_config");
    if (quantization instanceof JsonObject quantized) {
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
    boolean mixed = value("mlp_only_layers") instanceof JsonArray dense && !dense.isEmpty();
    if (mixed || integer("decoder_sparse_step").orElse(1L) != 1) {
      throw new ModelFileException(
          file, "mlp_only_layers", "only models with experts in every layer are supported");
    }
    if (flag("mamba_rms_norm") && flag("mamba_norm_before_gate")) {
      throw new ModelFileException(
          file, "mamba_norm_before_gate", "norms before the gate are not supported");
    }
    if (text("topk_method").equals("group_limited_greedy")) {
      throw new ModelFileException(
          file, "topk_method", "groups of experts by their best one alone are not supported");
    }
    long end = integer("moe_layer_end_index").orElse(-1L);
    if (end >= 0 && end < required("num_hidden_layers") - 1) {
      throw new ModelFileException(
          file,
          "moe_layer_end_index",
          "models whose last layers have no experts are not supported");
    }
    if (judges() && !family.architecture().equals("qwen3")) {
      throw new ModelFileException(
          file,
          "architectures",
          "models like " + family.architecture() + " that judge texts are not supported");
    }
    if (flag(SEES_AHEAD) && !family.architecture().equals(EMBEDDING_GEMMA)) {
      throw new ModelFileException(
          file, SEES_AHEAD, "models whose tokens see those after them are not supported");
    }
    boolean gemma = family.architecture().startsWith("gemma");
    if (family.defaults().containsKey("hidden_act")) {
      activation("hidden_act", TANH_GELU);
    } else if (!family.architecture().equals("gpt-oss")) {
      activation(gemma ? "hidden_activation" : "hidden_act", gemma ? TANH_GELU : SILU);
    }
    return this;
  }

  private void activation(String key, Set<String> supported) {
    if (value(key) instanceof JsonPrimitive name && !supported.contains(name.getAsString())) {
      throw new ModelFileException(
          file,
          key,
          "'"
              + name.getAsString()
              + "'; models like "
              + family.architecture()
              + " are supported with "
              + String.join(" or ", supported.stream().sorted().toList()));
    }
  }

  HubFamily family() {
    return family;
  }

  /** Says whether it judges texts, and writes none. */
  boolean judges() {
    return EncoderConfig.judges(outer);
  }

  /** Says whether it makes vectors or judgements, and writes no texts. */
  boolean pools() {
    return judges() || family.architecture().equals(EMBEDDING_GEMMA) || settings.known();
  }

  /** The matrices that follow pooling. */
  List<Path> dense() {
    if (!settings.dense().isEmpty()
        && (!family.architecture().equals(EMBEDDING_GEMMA) || settings.dense().size() != 2)) {
      throw new ModelFileException(
          file,
          "modules.json",
          "%d matrices follow pooling; two are supported, in EmbeddingGemma"
              .formatted(settings.dense().size()));
    }
    return settings.dense();
  }

  /** Puts how a text becomes a vector or a judgement, if it does. */
  void putPooling(MetadataBuilder metadata, Optional<HubTokenizer> tokenizer) {
    if (judges()) {
      metadata.integer(key("pooling_type"), EncoderConfig.RANK);
      EncoderConfig.labels(metadata, outer, family.architecture());
    } else if (pools()) {
      settings.put(metadata, family.architecture(), tokenizer, notes);
    }
  }

  /** Sentences on what is read otherwise than it stands there. */
  List<String> notes() {
    return notes;
  }

  /** Says whether the embedding is to be the output projection too, if the files do not differ. */
  boolean tied() {
    JsonElement own = given(outer, "tie_word_embeddings");
    // What a model that also sees shares is said of the whole model, and by default it does.
    if (own instanceof JsonPrimitive tied) {
      return truth("tie_word_embeddings", tied);
    }
    boolean usual = family.defaults().containsKey("tie_word_embeddings");
    return own == null && ((!usual && !json.equals(outer)) || flag("tie_word_embeddings"));
  }

  /** Says whether a layer's module has a bias if there is one in the files. */
  boolean biased(String module) {
    return switch (module) {
      case "attn_q", "attn_k", "attn_v", "attn_qkv" ->
          first("attention_bias", "qkv_bias", "use_bias");
      case "attn_output" -> first("attention_out_bias", "attention_bias", "use_bias");
      case "ffn_gate", "ffn_up", "ffn_down" -> first("mlp_bias", "use_bias");
      case "ssm_conv1d" -> first("use_conv_bias", "mamba_conv_bias");
      case "ssm_in", "ssm_out" -> first("mamba_proj_bias", "use_bias");
      case "shortconv.in_proj", "shortconv.out_proj" -> first("conv_bias");
      case "ssm_dt" -> true;
      default -> Set.of("gpt-oss", "starcoder2").contains(family.architecture());
    };
  }

  /** The first of these flags that the family has; false if it has none. */
  private boolean first(String... keys) {
    for (String key : keys) {
      if (family.defaults().containsKey(key)) {
        return flag(key);
      }
    }
    return false;
  }

  Optional<Long> vocabulary() {
    return integer("vocab_size");
  }

  /** The token of a key such as {@code bos_token_id}. */
  Optional<Long> token(String key) {
    return tokens(file, json, outer, key).stream().findFirst();
  }

  /**
   * The tokens that end an answer: those of {@code generation_config.json} and of {@code
   * config.json}, each of which may list several.
   */
  Set<Long> ends() {
    Path generation = file.resolveSibling("generation_config.json");
    Set<Long> ends = new LinkedHashSet<>();
    if (Files.exists(generation)) {
      JsonObject settings = Json.object(generation, MOST_BYTES);
      ends.addAll(tokens(generation, settings, settings, "eos_token_id"));
    }
    ends.addAll(tokens(file, json, outer, "eos_token_id"));
    return ends;
  }

  /** The end token of the family, where a directory names none at all and does not rule it out. */
  Optional<Long> usualEnd() {
    return json.has("eos_token_id") || outer.has("eos_token_id")
        ? Optional.empty()
        : integer("eos_token_id");
  }

  private static Set<Long> tokens(Path file, JsonObject first, JsonObject second, String key) {
    Set<Long> tokens = new LinkedHashSet<>();
    for (JsonObject object : List.of(first, second)) {
      switch (object.get(key)) {
        case JsonArray several -> several.forEach(one -> tokens.add(token(file, key, one)));
        case JsonNull _ -> {}
        case null -> {}
        case JsonElement one -> tokens.add(token(file, key, one));
      }
    }
    return tokens;
  }

  private static long token(Path file, String key, JsonElement json) {
    double id = number(json);
    if (id != (long) id) {
      throw new ModelFileException(
          file, key, "must be the id of a token or a list of them, and has " + json);
    }
    return (long) id;
  }

  /** NaN if it is no number; strings that look like one are none to the reference either. */
  static double number(JsonElement json) {
    return json instanceof JsonPrimitive number && number.isNumber()
        ? number.getAsDouble()
        : Double.NaN;
  }

  /** Puts the shape of the model. */
  void put(MetadataBuilder metadata, String name) {
    metadata.string("general.architecture", family.architecture());
    metadata.string("general.name", name);
    HubFamily.COMMON_KEYS.forEach(key -> put(metadata, key));
    family.keys().forEach(key -> put(metadata, key));
    feedForward(metadata);
    if (required("num_attention_heads") > 0) {
      attention(metadata);
    }
    new HubLayers(this).put(metadata);
    if (family.architecture().equals(EMBEDDING_GEMMA)) {
      metadata.flag(key("attention.causal"), false);
    }
    if (family.defaults().containsKey("mask_token_id")) {
      metadata.flag(key("attention.causal"), false);
      metadata.flag("diffusion.shift_logits", flag("shift_logits"));
      metadata.integer("tokenizer.ggml.mask_token_id", required("mask_token_id"));
    }
    if (family.rotates()) {
      rope().put(metadata);
    }
  }

  private void attention(MetadataBuilder metadata) {
    if (!family.is(HubFamily.Trait.ADJACENT_PAIRS)) {
      // Rows of queries and keys lie as the hub has them, which GGUF's llama does not.
      metadata.string(ModelFile.ROPE_PAIRS, "half");
    }
    metadata.integer(key("attention.head_count_kv"), kvHeads());
    if (!latent()) {
      metadata.integer(key("attention.key_length"), headSize());
      metadata.integer(key("attention.value_length"), headSize());
    }
    if (family.defaults().containsKey("query_pre_attn_scalar")) {
      double scalar = real("query_pre_attn_scalar").orElseThrow();
      metadata.real(key("attention.scale"), 1 / Math.sqrt(scalar));
    }
    if (family.defaults().containsKey("position_embedding_type")) {
      boolean rotated = text("position_embedding_type").equals("rope");
      metadata.flag(key("rope.scaling.finetuned"), rotated);
    }
  }

  /** The width of MLPs, where it is not a key's. */
  private void feedForward(MetadataBuilder metadata) {
    String key = key("feed_forward_length");
    if (!hasExperts() && value("shared_intermediate_size") != null) {
      metadata.integer(key, required("shared_intermediate_size"));
    }
    if (family.defaults().containsKey("block_auto_adjust_ff_dim")) {
      metadata.integer(key, adjustedWidth());
    }
  }

  /** LFM 2: of the width that is given, two thirds, rounded up. */
  private long adjustedWidth() {
    long width = whole("block_ff_dim", required("intermediate_size"));
    if (!flag("block_auto_adjust_ff_dim")) {
      return width;
    }
    long part = 2 * width / 3;
    Optional<Double> factor = real("block_ffn_dim_multiplier");
    long multiple = Math.max(1, required("block_multiple_of"));
    return factor.isEmpty()
        ? part
        : Math.ceilDiv((long) (factor.get() * part), multiple) * multiple;
  }

  /** Says whether there are experts to choose from; a family may have models without. */
  boolean hasExperts() {
    return family.hubKey("expert_count").flatMap(this::integer).orElse(0L) > 0;
  }

  long kvHeads() {
    return whole("num_key_value_heads", required("num_attention_heads"));
  }

  /** Tensors that GGUF has and the hub keeps in the configuration. */
  Map<String, float[]> factors() {
    return family.rotates() ? rope().factors() : Map.of();
  }

  private HubRope rope() {
    return new HubRope(this, json);
  }

  private void put(MetadataBuilder metadata, HubFamily.Key key) {
    Matcher several = SEVERAL.matcher(key.hub());
    if (several.matches()) {
      metadata.integer(key(key.gguf()), ofSeveral(several));
      return;
    }
    JsonPrimitive single = primitive(key.hub());
    if (single == null) {
      if (NULLABLE.contains(key.hub()) && family.defaults().containsKey(key.hub())) {
        metadata.put(key(key.gguf()), key.type(), 0L); // GGUF may have a usual value for none
      }
      return;
    }
    switch (key.type()) {
      case BOOL -> metadata.flag(key(key.gguf()), truth(key.hub(), single));
      case FLOAT32 -> metadata.real(key(key.gguf()), real(key.hub(), single));
      default -> metadata.integer(key(key.gguf()), whole(key.hub(), 0));
    }
  }

  private long ofSeveral(Matcher keys) {
    long first = required(keys.group(1));
    return switch (keys.group(2)) {
      case "*" -> first * required(keys.group(3));
      case "+" -> first + required(keys.group(3));
      default -> Math.ceilDiv(first, Long.parseLong(keys.group(3)));
    };
  }

  /** Says whether keys and values are projections of few numbers. */
  boolean latent() {
    return family.hubKey("attention.kv_lora_rank").isPresent();
  }

  /** Numbers of a key that may be rotated. */
  long headSize() {
    if (latent()) {
      return required("qk_rope_head_dim");
    }
    long heads = Math.max(1, required("num_attention_heads"));
    return whole("head_dim", required("hidden_size") / heads);
  }

  int layers() {
    long layers = required("num_hidden_layers");
    if (layers > MOST_LAYERS) {
      throw wrong(
          "num_hidden_layers", "must be at most %,d, and is %,d".formatted(MOST_LAYERS, layers));
    }
    return (int) layers;
  }

  /** A value as it is given, or what the family has where it is left out; null for none. */
  @Nullable JsonElement value(String key) {
    JsonElement given = given(json, key);
    if (given instanceof JsonNull && NULLABLE.contains(key)) {
      return null;
    }
    if (given instanceof JsonPrimitive text
        && text.isString()
        && text.getAsString().equals("auto")) {
      given = null;
    }
    return given == null || given.isJsonNull() ? family.defaults().get(key) : given;
  }

  private static @Nullable JsonElement given(JsonObject json, String key) {
    JsonElement given = json.get(key);
    for (String alias : ALIASES.getOrDefault(key, List.of())) {
      given = given == null ? json.get(alias) : given;
    }
    return given;
  }

  private @Nullable JsonPrimitive primitive(String key) {
    JsonElement value = value(key);
    if (value != null && !(value instanceof JsonPrimitive)) {
      throw wrong(key, "must be one value, and is " + value);
    }
    return (JsonPrimitive) value;
  }

  Optional<Long> integer(String key) {
    return Optional.ofNullable(primitive(key)).map(value -> integer(key, value));
  }

  private long integer(String key, JsonElement json) {
    double number = number(json);
    if (number != (long) number) {
      throw wrong(key, "must be a whole number, and is " + json);
    }
    return (long) number;
  }

  Optional<Double> real(String key) {
    return Optional.ofNullable(primitive(key)).map(value -> real(key, value));
  }

  /** A number of this file; what it may be is for others to say. */
  double real(String key, JsonElement json) {
    if (!(json instanceof JsonPrimitive number && number.isNumber())) {
      throw wrong(key, "must be a number, and is " + json);
    }
    return number.getAsDouble();
  }

  private String text(String key) {
    return value(key) instanceof JsonPrimitive text ? text.getAsString() : "";
  }

  boolean flag(String key) {
    // Null is false, as the reference implementation takes it.
    JsonPrimitive value = json.get(key) instanceof JsonNull ? null : primitive(key);
    return value != null && truth(key, value);
  }

  /** Says whether a value is true; numbers are, but for 0, as in the reference. */
  boolean truth(String key, JsonElement json) {
    if (json instanceof JsonPrimitive flag && flag.isBoolean()) {
      return flag.getAsBoolean();
    }
    if (json instanceof JsonPrimitive number && number.isNumber()) {
      return number.getAsDouble() != 0;
    }
    throw wrong(key, "must be true or false, and is " + json);
  }

  /** A number of things, from 0. */
  long whole(String key, long otherwise) {
    long number = integer(key).orElse(otherwise);
    if (number < 0 || number > Integer.MAX_VALUE) {
      throw wrong(key, "must be between 0 and 2^31, and is " + number);
    }
    return number;
  }

  long required(String key) {
    if (value(key) == null) {
      throw wrong(key, "is missing");
    }
    return whole(key, 0);
  }

  /** Says whether a layer is one of those at the end that guess further tokens. */
  boolean guessesAhead(int layer) {
    return family.defaults().containsKey("first_k_dense_replace") && layer >= layers();
  }

  String key(String name) {
    return family.architecture() + "." + name;
  }

  ModelFileException wrong(String key, String problem) {
    return new ModelFileException(file, key, problem);
  }

  void note(String sentence) {
    notes.add(sentence);
  }
}
