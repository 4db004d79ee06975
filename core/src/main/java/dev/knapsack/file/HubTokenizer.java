package dev.knapsack.file;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
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

  private final TokenizerJson json;
  private final JsonObject settings;
  private final HubConfig config;

  private HubTokenizer(TokenizerJson json, JsonObject settings, HubConfig config) {
    this.json = json;
    this.settings = settings;
    this.config = config;
  }

  /** Puts the template and the special tokens' ids; returns the tokenizer, if there is one. */
  static Optional<HubTokenizer> put(MetadataBuilder metadata, Path directory, HubConfig config) {
    JsonObject settings = settings(directory);
    Path file = directory.resolve("tokenizer.json");
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    TokenizerJson json = TokenizerJson.read(file);
    HubTokenizer tokenizer = new HubTokenizer(json, settings, config);
    tokenizer.specials(metadata);
    return Optional.of(tokenizer);
  }

  TokenizerJson json() {
    return json;
  }

  /** Puts all that GGUF says of a tokenizer, with a token for each row of the embedding. */
  void putGguf(MetadataBuilder metadata, Metadata known) {
    long rows = Math.min(config.vocabulary().orElse(0L), MOST_TOKENS);
    GgufTokenizer.put(metadata, json, (int) Math.max(rows, json.tokens().size()), known);
  }

  private static JsonObject settings(Path directory) {
    Path file = directory.resolve("tokenizer_config.json");
    return Files.exists(file) ? Json.object(file, MOST_CONFIG_BYTES) : new JsonObject();
  }

  private void specials(MetadataBuilder metadata) {
    token("bos_token").ifPresent(id -> metadata.integer(PREFIX + "bos_token_id", id));
    ends(metadata);
    token("unk_token").ifPresent(id -> metadata.integer(PREFIX + "unknown_token_id", id));
    token("pad_token").ifPresent(id -> metadata.integer(PREFIX + "padding_token_id", id));
    // What tokenizer_config.json says of them overrides what the post-processor does.
    for (String flag : List.of("add_bos_token", "add_eos_token")) {
      if (settings.get(flag) instanceof JsonPrimitive add && add.isBoolean()) {
        metadata.flag(PREFIX + flag, add.getAsBoolean());
      }
    }
  }

  /** The tokens that end an answer: that of the tokenizer first, then what the model adds. */
  private void ends(MetadataBuilder metadata) {
    Set<Long> ends = new LinkedHashSet<>();
    token("eos_token").ifPresent(id -> ends.add(id.longValue()));
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

  private Optional<Integer> token(String key) {
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
