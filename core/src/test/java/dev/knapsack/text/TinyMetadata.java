package dev.knapsack.text;

import dev.knapsack.file.Metadata;
import dev.knapsack.file.ModelFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Metadata made by hand. */
final class TinyMetadata implements Metadata {
  static final Path FILE = Path.of("tiny.gguf");

  private final Map<String, Object> values = new LinkedHashMap<>();

  /** Sets a key of {@code tokenizer.ggml} to a string, number, boolean, or list. */
  TinyMetadata with(String key, Object value) {
    return set("tokenizer.ggml." + key, value);
  }

  TinyMetadata set(String key, Object value) {
    values.put(key, value);
    return this;
  }

  TinyMetadata without(String key) {
    values.remove("tokenizer.ggml." + key);
    return this;
  }

  Tokenizer tokenizer() {
    return Tokenizers.of(this, FILE);
  }

  private <T> T get(String key, Class<T> type) {
    Object value = values.get(key);
    if (!type.isInstance(value)) {
      throw new ModelFileException(FILE, key, value == null ? "is missing" : "has another type");
    }
    return type.cast(value);
  }

  @Override
  public boolean has(String key) {
    return values.containsKey(key);
  }

  @Override
  public String string(String key) {
    return get(key, String.class);
  }

  @Override
  public long integer(String key) {
    return get(key, Number.class).longValue();
  }

  @Override
  public double real(String key) {
    return get(key, Number.class).doubleValue();
  }

  @Override
  public boolean flag(String key) {
    return get(key, Boolean.class);
  }

  @Override
  public long[] integers(String key) {
    return numbers(key).stream().mapToLong(Number::longValue).toArray();
  }

  @Override
  public float[] reals(String key) {
    List<Number> numbers = numbers(key);
    float[] reals = new float[numbers.size()];
    for (int i = 0; i < reals.length; i++) {
      reals[i] = numbers.get(i).floatValue();
    }
    return reals;
  }

  private List<Number> numbers(String key) {
    List<?> list = get(key, List.class);
    return list.stream().map(Number.class::cast).toList();
  }

  @Override
  public List<String> strings(String key) {
    List<?> list = get(key, List.class);
    return list.stream().map(String.class::cast).toList();
  }

  @Override
  public Map<String, Object> all() {
    return Collections.unmodifiableMap(values);
  }
}
