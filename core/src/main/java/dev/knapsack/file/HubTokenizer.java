package dev.knapsack.file;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
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
    template(directory, settings).ifPresent(t -> metadata.string("tokenizer.chat_template", t));
    Path file = directory.resolve("tokenizer.json");
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    TokenizerJson json = TokenizerJson.read(file, config.vocabulary().orElse(0L));
    HubTokenizer tokenizer = new HubTokenizer(json, settings, config);
    tokenizer.specials(metadata);
    return Optional.of(tokenizer);
  }

  TokenizerJson json() {
    return json;
  }

  private static JsonObject settings(Path directory) {
    Path file = directory.resolve("tokenizer_config.json");
    return Files.exists(file) ? Json.object(file, MOST_CONFIG_BYTES) : new JsonObject();
  }

  private static Optional<String> template(Path directory, JsonObject settings) {
    Path file = directory.resolve("chat_template.jinja");
    if (Files.exists(file)) {
      return Json.guard(
          file,
          () -> {
            if (Files.size(file) > MOST_CONFIG_BYTES) {
              throw new ModelFileException(file, "size", "more than 16 MiB");
            }
            return Optional.of(Files.readString(file));
          });
    }
    return switch (settings.get("chat_template")) {
      case JsonPrimitive one -> Optional.of(one.getAsString());
      case JsonArray named -> {
        Optional<String> chosen = Optional.empty();
        for (JsonElement entry : named) {
          JsonObject template = entry.getAsJsonObject();
          if (chosen.isEmpty() || Json.member(template, "name").getAsString().equals("default")) {
            chosen = Optional.of(Json.member(template, "template").getAsString());
          }
        }
        yield chosen;
      }
      case null, default -> Optional.empty();
    };
  }

  private void specials(MetadataBuilder metadata) {
    token("bos_token").ifPresent(id -> metadata.integer(PREFIX + "bos_token_id", id));
    token("eos_token").ifPresent(id -> metadata.integer(PREFIX + "eos_token_id", id));
    token("unk_token").ifPresent(id -> metadata.integer(PREFIX + "unknown_token_id", id));
    token("pad_token").ifPresent(id -> metadata.integer(PREFIX + "padding_token_id", id));
    // What tokenizer_config.json says of them overrides what the post-processor does.
    for (String flag : List.of("add_bos_token", "add_eos_token")) {
      if (settings.get(flag) instanceof JsonPrimitive add && add.isBoolean()) {
        metadata.flag(PREFIX + flag, add.getAsBoolean());
      }
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
