package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Metadata in memory: single values boxed, arrays as {@link PackedNumbers} and {@link
 * PackedStrings}.
 */
final class PackedMetadata implements Metadata {
  private final Path file;
  private final Map<String, Object> values;
  private final Map<String, ValueType> types;

  /**
   * @param values {@code String}, {@code Long}, {@code Double}, {@code Boolean}, {@code
   *     PackedNumbers} or {@code PackedStrings} by key
   * @param types the type in the file of each value that is no array
   */
  PackedMetadata(Path file, Map<String, Object> values, Map<String, ValueType> types) {
    this.file = file;
    this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    this.types = Map.copyOf(types);
  }

  /** This metadata but for the keys that begin so. */
  PackedMetadata without(String prefix) {
    Map<String, Object> others = new LinkedHashMap<>(values);
    others.keySet().removeIf(key -> key.startsWith(prefix));
    Map<String, ValueType> theirs = new LinkedHashMap<>(types);
    theirs.keySet().removeIf(key -> key.startsWith(prefix));
    return new PackedMetadata(file, others, theirs);
  }

  Map<String, ValueType> types() {
    return types;
  }

  @Override
  public boolean has(String key) {
    return values.containsKey(key);
  }

  @Override
  public String string(String key) {
    if (require(key) instanceof String text) {
      return text;
    }
    throw wrong(key, "a string");
  }

  @Override
  public long integer(String key) {
    if (require(key) instanceof Long number) {
      return number;
    }
    throw wrong(key, "an integer");
  }

  @Override
  public double real(String key) {
    if (require(key) instanceof Number number) {
      return number.doubleValue();
    }
    throw wrong(key, "a number");
  }

  @Override
  public boolean flag(String key) {
    if (require(key) instanceof Boolean flag) {
      return flag;
    }
    throw wrong(key, "true or false");
  }

  @Override
  public long[] integers(String key) {
    return switch (require(key)) {
      case Long number -> new long[] {number};
      case PackedNumbers numbers when !numbers.isReal() -> {
        long[] result = new long[numbers.size()];
        for (int i = 0; i < result.length; i++) {
          result[i] = numbers.integer(i);
        }
        yield result;
      }
      default -> throw wrong(key, "integers");
    };
  }

  @Override
  public float[] reals(String key) {
    return switch (require(key)) {
      case Number number -> new float[] {number.floatValue()};
      case PackedNumbers numbers -> {
        float[] result = new float[numbers.size()];
        for (int i = 0; i < result.length; i++) {
          result[i] = (float) numbers.real(i);
        }
        yield result;
      }
      default -> throw wrong(key, "numbers");
    };
  }

  @Override
  public List<String> strings(String key) {
    if (require(key) instanceof PackedStrings strings) {
      return strings;
    }
    throw wrong(key, "strings");
  }

  @Override
  public Map<String, Object> all() {
    return values;
  }

  private Object require(String key) {
    Object value = values.get(key);
    if (value == null) {
      throw new ModelFileException(file, key, "is missing");
    }
    return value;
  }

  private ModelFileException wrong(String key, String wanted) {
    String found =
        switch (values.get(key)) {
          case PackedStrings strings -> strings.size() + " strings";
          case PackedNumbers numbers -> numbers.size() + " values of type " + numbers.type();
          case String text ->
              "the string '" + (text.length() > 40 ? text.substring(0, 40) + "…" : text) + "'";
          case Object other -> String.valueOf(other);
          case null -> "nothing";
        };
    return new ModelFileException(file, key, "must be " + wanted + ", and is " + found);
  }
}
