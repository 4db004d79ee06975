package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The {@code config.json} of an encoder, and what it says in GGUF's words. */
final class EncoderConfig {
  /** GGUF's number for a model that judges a text. */
  static final int RANK = 4;

  private static final int MOST_LABELS = 1 << 12;
  private static final String JUDGES = "ForSequenceClassification";

  /** By {@code model_type}; Jina's is BERT's. */
  private static final Map<String, EncoderFamily> FAMILIES =
      Map.of(
          "bert", EncoderFamily.BERT,
          "roberta", EncoderFamily.ROBERTA,
          "xlm-roberta", EncoderFamily.ROBERTA,
          "camembert", EncoderFamily.ROBERTA,
          "distilbert", EncoderFamily.DISTILBERT,
          "nomic_bert", EncoderFamily.NOMIC_BERT,
          "modernbert", EncoderFamily.MODERN_BERT);

  private final Path file;
  private final JsonObject json;
  private final EncoderFamily family;

  private EncoderConfig(Path file, JsonObject json, EncoderFamily family) {
    this.file = file;
    this.json = json;
    this.family = family;
  }

  /** The names of all {@code model_type}s that are encoders. */
  static Set<String> supported() {
    return FAMILIES.keySet();
  }

  /**
   * Reads a configuration, if it is an encoder's.
   *
   * @throws ModelFileException if it is one of a kind that is not supported
   */
  static Optional<EncoderConfig> find(Path file, JsonObject json) {
    EncoderFamily family =
        json.get("model_type") instanceof JsonPrimitive type
            ? FAMILIES.get(type.getAsString())
            : null;
    if (family == null) {
      return Optional.empty();
    }
    boolean bert = family.equals(EncoderFamily.BERT);
    boolean jina = bert && text(json, "position_embedding_type").equals("alibi");
    EncoderConfig config = new EncoderConfig(file, json, jina ? EncoderFamily.JINA_BERT : family);
    config.check();
    return Optional.of(config);
  }

  EncoderFamily family() {
    return family;
  }

  /** Says whether it judges texts, and makes no vectors. */
  boolean judges() {
    return judges(json);
  }

  /** Says whether a configuration is of a model that judges texts. */
  static boolean judges(JsonObject json) {
    return String.valueOf(json.get("architectures")).contains(JUDGES + "\"");
  }

  /** Rows at the beginning of the table of positions that no token has. */
  long unusedPositions() {
    return family.cutsPositions() ? integer("pad_token_id", 1) + 1 : 0;
  }

  void put(MetadataBuilder metadata, String name) {
    metadata.string("general.architecture", family.architecture());
    metadata.string("general.type", "model");
    metadata.string("general.name", name);
    metadata.integer(key("block_count"), required("num_hidden_layers", "n_layers", "n_layer"));
    metadata.integer(key("context_length"), positions());
    metadata.integer(key("embedding_length"), width());
    metadata.integer(key("feed_forward_length"), feedForward());
    metadata.integer(key("attention.head_count"), heads());
    metadata.real(
        key("attention.layer_norm_epsilon"),
        first("layer_norm_eps", "layer_norm_epsilon", "norm_eps")
            .orElse(family.equals(EncoderFamily.MODERN_BERT) ? 1e-5 : 1e-12));
    metadata.flag(key("attention.causal"), false);
    if (family.equals(EncoderFamily.NOMIC_BERT)) {
      metadata.real(key("rope.freq_base"), first("rotary_emb_base").orElse(10_000.0));
    }
    if (family.equals(EncoderFamily.MODERN_BERT)) {
      modern(metadata);
    } else {
      long types = family.equals(EncoderFamily.DISTILBERT) ? 1 : required("type_vocab_size");
      metadata.integer("tokenizer.ggml.token_type_count", types);
    }
    if (judges()) {
      metadata.integer(key("pooling_type"), RANK);
      labels(metadata, json, family.architecture());
    }
  }

  private void modern(MetadataBuilder metadata) {
    metadata.integer(key("vocab_size"), required("vocab_size"));
    metadata.integer(key("attention.sliding_window"), integer("local_attention", 128));
    metadata.integer(
        key("attention.sliding_window_pattern"), integer("global_attn_every_n_layers", 3));
    double all = base("full_attention", "global_rope_theta", 160_000);
    metadata.real(key("rope.freq_base"), all);
    metadata.real(key("rope.freq_base_swa"), base("sliding_attention", "local_rope_theta", all));
    metadata.string(key("hidden_activation"), "gelu");
  }

  /** The base of a kind of layers, as either form of the configuration has it. */
  private double base(String kind, String key, double otherwise) {
    return json.get("rope_parameters") instanceof JsonObject rope
            && rope.get(kind) instanceof JsonObject one
            && one.get("rope_theta") instanceof JsonPrimitive base
        ? base.getAsDouble()
        : first(key).orElse(key.startsWith("local") ? 10_000 : otherwise);
  }

  /** Puts what the numbers of a judgement are called, where there are several. */
  static void labels(MetadataBuilder metadata, JsonObject json, String architecture) {
    if (!(json.get("id2label") instanceof JsonObject labels) || labels.size() < 2) {
      return;
    }
    Map<Integer, String> names = new TreeMap<>();
    for (Map.Entry<String, JsonElement> label : labels.entrySet()) {
      names.put(Integer.parseInt(label.getKey()), label.getValue().getAsString());
    }
    if (names.size() <= MOST_LABELS) {
      metadata.strings(architecture + ".classifier.output_labels", new ArrayList<>(names.values()));
    }
  }

  private void check() {
    if (judges() && family.head().isEmpty()) {
      throw wrong(
          "architectures",
          "models like "
              + family.architecture()
              + " ("
              + text(json, "model_type")
              + ") that judge texts are not supported from directories");
    }
    switch (family.architecture()) {
      case "nomic-bert" -> {
        expect("activation_function", "swiglu", "swiglu");
        expect("rotary_emb_fraction", "0.0", "1.0", "1");
        expect("rotary_emb_interleaved", "false", "false");
        expect("prenorm", "false", "false");
        expect("use_rms_norm", "false", "false", "null");
        expect("causal", "false", "false");
        expect("moe_every_n_layers", "0", "0", "-1");
        expect("rotary_emb_scale_base", "null", "null");
        for (String bias : List.of("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias")) {
          expect(bias, "true", "false");
        }
      }
      case "jina-bert-v2" -> {
        expect("feed_forward_type", "original", "geglu");
        expect("hidden_act", "gelu", "gelu");
      }
      case "modern-bert" -> {
        expect("hidden_activation", "gelu", "gelu");
        for (String bias : List.of("norm_bias", "attention_bias", "mlp_bias", "classifier_bias")) {
          expect(bias, "false", "false");
        }
        expectLayers();
        if (judges()) {
          expect("classifier_pooling", "cls", "mean");
          expect("classifier_activation", "gelu", "gelu");
        }
      }
      default -> {
        expect("position_embedding_type", "absolute", "absolute");
        expect(
            family.equals(EncoderFamily.DISTILBERT) ? "activation" : "hidden_act", "gelu", "gelu");
        expect("is_decoder", "false", "false");
        expect("sinusoidal_pos_embds", "false", "false", "true"); // the table is in the file
      }
    }
  }

  /** Checks that layer_types, where it is given, is what GGUF's pattern says. */
  private void expectLayers() {
    long period = integer("global_attn_every_n_layers", 3);
    if (json.get("layer_types") instanceof JsonArray types && period > 0) {
      for (int l = 0; l < types.size(); l++) {
        String expected = l % period == 0 ? "full_attention" : "sliding_attention";
        if (!types.get(l).getAsString().equals(expected)) {
          throw wrong("layer_types", "layer %d is expected to have %s".formatted(l, expected));
        }
      }
    }
  }

  /**
   * Checks a value.
   *
   * @param usual what it is where it is left out
   */
  private void expect(String key, String usual, String... supported) {
    JsonElement value = json.get(key);
    String given =
        value == null
            ? usual
            : value instanceof JsonPrimitive text ? text.getAsString() : value.toString();
    if (!Set.of(supported).contains(given)) {
      throw wrong(
          key,
          "'%s'; models like %s are supported with %s"
              .formatted(given, family.architecture(), String.join(" or ", supported)));
    }
  }

  private long positions() {
    Optional<Long> trained = whole("max_trained_positions");
    return trained.orElseGet(() -> required("max_position_embeddings", "n_positions"))
        - unusedPositions();
  }

  long width() {
    return required("hidden_size", "dim", "n_embd");
  }

  private long heads() {
    return required("num_attention_heads", "n_heads", "n_head");
  }

  private long feedForward() {
    return required("intermediate_size", "hidden_dim", "n_inner");
  }

  long vocabulary() {
    return required("vocab_size");
  }

  private Optional<Double> first(String... keys) {
    for (String key : keys) {
      if (json.get(key) instanceof JsonPrimitive number && number.isNumber()) {
        return Optional.of(number.getAsDouble());
      }
    }
    return Optional.empty();
  }

  private Optional<Long> whole(String... keys) {
    Optional<Double> found = first(keys);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    double number = found.get();
    if (number != (int) number || number < 0) {
      throw wrong(keys[0], "must be a whole number from 0, and is " + number);
    }
    return Optional.of((long) number);
  }

  private long required(String... keys) {
    return whole(keys).orElseThrow(() -> wrong(keys[0], "is missing"));
  }

  private long integer(String key, long otherwise) {
    return whole(key).orElse(otherwise);
  }

  private static String text(JsonObject json, String key) {
    @Nullable JsonElement value = json.get(key);
    return value instanceof JsonPrimitive text ? text.getAsString() : "";
  }

  private String key(String name) {
    return family.architecture() + "." + name;
  }

  private ModelFileException wrong(String key, String problem) {
    return new ModelFileException(file, key, problem);
  }
}
