package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model's {@code tokenizer.json}, and what {@code tokenizer_config.json} says of its template and
 * its special tokens, in GGUF's words.
 */
final class HubTokenizer {
  private static final long MOST_CONFIG_BYTES = 16 << 20;
  private static final int MOST_TOKENS = 1 << 22;
  private static final String PREFIX = "tokenizer.ggml.";

  /** The names of encoders' special tokens, where no tokenizer_config.json says it. */
  private static final Map<String, List<String>> ENCODER_TOKENS =
      Map.of(
          "bos", List.of("<s>"),
          "eos", List.of("</s>"),
          "cls", List.of("[CLS]", "<s>"),
          "sep", List.of("[SEP]", "</s>"),
          "unk", List.of("[UNK]", "<unk>"),
          "pad", List.of("[PAD]", "<pad>"),
          "mask", List.of("[MASK]", "<mask>"));

  /** GGUF's keys; one of them is spelt as readers of GGUF expect it. */
  private static final Map<String, String> GGUF_TOKENS =
      Map.of(
          "cls", "cls_token_id",
          "sep", "seperator_token_id",
          "unk", "unknown_token_id",
          "pad", "padding_token_id",
          "mask", "mask_token_id");

  private final TokenizerJson json;
  private final JsonObject settings;
  private final long rows;

  private HubTokenizer(TokenizerJson json, JsonObject settings, long rows) {
    this.json = json;
    this.settings = settings;
    this.rows = rows;
  }

  /** Puts the template and the special tokens' ids; returns the tokenizer, if there is one. */
  static Optional<HubTokenizer> put(MetadataBuilder metadata, Path directory, HubConfig config) {
    JsonObject settings = settings(directory);
    Path file = directory.resolve("tokenizer.json");
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    TokenizerJson json = TokenizerJson.read(file);
    HubTokenizer tokenizer = new HubTokenizer(json, settings, config.vocabulary().orElse(0L));
    tokenizer.specials(metadata, config);
    return Optional.of(tokenizer);
  }

  /**
   * Reads the tokenizer of an encoder, and puts its special tokens: what begins and ends a text,
   * what stands between two, what fills up and what hides.
   *
   * @param rows of the embedding
   */
  static HubTokenizer ofEncoder(MetadataBuilder metadata, Path file, long rows) {
    TokenizerJson json = TokenizerJson.read(file);
    boolean usual = file.endsWith("tokenizer.json");
    JsonObject settings = usual ? settings(directoryOf(file)) : new JsonObject();
    HubTokenizer tokenizer = new HubTokenizer(json, settings, rows);
    Map<String, Integer> found = new LinkedHashMap<>();
    ENCODER_TOKENS.forEach(
        (name, texts) -> tokenizer.named(name, texts).ifPresent(id -> found.put(name, id)));
    // A text begins with what classifies it, and ends with what would separate it from another.
    Integer first = found.getOrDefault("bos", found.get("cls"));
    if (first != null) {
      metadata.integer(PREFIX + "bos_token_id", first);
    }
    boolean wordPiece = json.type().equals("WordPiece");
    Integer last = found.getOrDefault("eos", wordPiece ? null : found.get("sep"));
    if (last != null) {
      metadata.integer(PREFIX + "eos_token_id", last);
    }
    GGUF_TOKENS.forEach((name, key) -> {
      Integer id = found.get(name);
      if (id != null) {
        metadata.integer(PREFIX + key, id);
      }
    });
    return tokenizer;
  }

  private static Path directoryOf(Path file) {
    return Objects.requireNonNull(file.toAbsolutePath().getParent());
  }

  /** A token that tokenizer_config.json names, or that is there under a usual name. */
  private Optional<Integer> named(String name, List<String> usual) {
    Optional<String> text = text(settings.get(name + "_token"));
    for (String candidate : text.map(List::of).orElse(usual)) {
      int id = json.tokens().find(candidate);
      if (id >= 0) {
        return Optional.of(id);
      }
    }
    return Optional.empty();
  }

  TokenizerJson json() {
    return json;
  }

  /** Puts all that GGUF says of a tokenizer, with a token for each row of the embedding. */
  void putGguf(MetadataBuilder metadata, Metadata known) {
    long all = Math.max(Math.min(rows, MOST_TOKENS), json.tokens().size());
    GgufTokenizer.put(metadata, json, (int) all, known);
  }

  private static JsonObject settings(Path directory) {
    Path file = directory.resolve("tokenizer_config.json");
    return Files.exists(file) ? Json.object(file, MOST_CONFIG_BYTES) : new JsonObject();
  }

  private void specials(MetadataBuilder metadata, HubConfig config) {
    token(config, "bos_token").ifPresent(id -> metadata.integer(PREFIX + "bos_token_id", id));
    ends(metadata, config);
    token(config, "unk_token").ifPresent(id -> metadata.integer(PREFIX + "unknown_token_id", id));
    token(config, "pad_token").ifPresent(id -> metadata.integer(PREFIX + "padding_token_id", id));
    // What tokenizer_config.json says of them overrides what the post-processor does.
    for (String flag : List.of("add_bos_token", "add_eos_token")) {
      if (settings.get(flag) instanceof JsonPrimitive add && add.isBoolean()) {
        metadata.flag(PREFIX + flag, add.getAsBoolean());
      }
    }
  }

  /** The tokens that end an answer: that of the tokenizer first, then what the model adds. */
  private void ends(MetadataBuilder metadata, HubConfig config) {
    Set<Long> ends = new LinkedHashSet<>();
    token(config, "eos_token").ifPresent(id -> ends.add(id.longValue()));
    ends.addAll(config.ends());
    if (ends.isEmpty()) {
      config.usualEnd().ifPresent(ends::add);
    }
    long[] all = ends.stream().mapToLong(Long::longValue).filter(id -> id >= 0).toArray();
    if (all.length > 0) {
      metadata.integer(PREFIX + "eos_token_id", all[0]);
    }
    if (all.length > 1) {
      metadata.integers(PREFIX + "eos_token_ids", all);
      metadata.integer(PREFIX + "eot_token_id", all[1]); // for readers that know no list
    }
  }

  private Optional<Integer> token(HubConfig config, String key) {
    Optional<Integer> named =
        text(settings.get(key)).map(json.tokens()::find).filter(id -> id >= 0);
    return named.isPresent()
        ? named
        : config.token(key + "_id").filter(id -> id >= 0 && id < MOST_TOKENS).map(Long::intValue);
  }

  private static Optional<String> text(@Nullable JsonElement token) {
    return switch (token) {
      case JsonPrimitive text -> Optional.of(text.getAsString());
      case JsonObject object when object.get("content") instanceof JsonPrimitive text ->
          Optional.of(text.getAsString());
      case null, default -> Optional.empty();
    };
  }
}
