package dev.knapsack.text;

import dev.knapsack.file.HandMadeMetadata;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The keys of a tokenizer, made by hand. */
final class TinyMetadata {
  static final Path FILE = Path.of("tiny.gguf");

  private final Map<String, Object> values = new LinkedHashMap<>();

  /** Sets a key of {@code tokenizer.ggml} to a string, number, flag, or list. */
  TinyMetadata with(String key, Object value) {
    return set("tokenizer.ggml." + key, value);
  }

  TinyMetadata set(String key, Object value) {
    values.put(key, value);
    return this;
  }

  /** A list that was set. */
  @SuppressWarnings("unchecked")
  <T> List<T> list(String key) {
    return (List<T>) values.get("tokenizer.ggml." + key);
  }

  TinyMetadata without(String key) {
    values.remove("tokenizer.ggml." + key);
    return this;
  }

  Tokenizer tokenizer() {
    return Tokenizers.of(HandMadeMetadata.of(FILE, values), FILE);
  }
}
