package dev.knapsack.file;

import java.math.BigInteger;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Metadata that a test writes down, as if it had been read from a file. */
public final class HandMadeMetadata {
  private HandMadeMetadata() {}

  /**
   * @param file what errors name
   * @param values strings, numbers, flags, arrays of numbers, or lists of strings, of flags or of
   *     numbers
   */
  public static Metadata of(Path file, Map<String, Object> values) {
    Map<String, Object> packed = new LinkedHashMap<>();
    Map<String, ValueType> types = new LinkedHashMap<>();
    values.forEach((key, value) -> {
      packed.put(key, packed(value));
      switch (packed.get(key)) {
        case Long number -> types.put(key, ValueType.INT64);
        case Double number -> types.put(key, ValueType.FLOAT64);
        default -> {}
      }
    });
    return new PackedMetadata(file, packed, types);
  }

  /** A tokenizer.json. */
  public static TokenizerJson tokenizer(Path file) {
    return TokenizerJson.read(file);
  }

  private static Object packed(Object value) {
    return switch (value) {
      case String text -> text;
      case Boolean flag -> flag;
      case Long number -> number;
      case Integer number -> number.longValue();
      case BigInteger number -> number;
      case Number number -> number.doubleValue();
      case long[] numbers -> PackedNumbers.of(numbers);
      case float[] numbers -> PackedNumbers.of(numbers);
      case List<?> list -> packed(list);
      default -> throw new IllegalArgumentException("No value of metadata: " + value);
    };
  }

  private static Object packed(List<?> list) {
    if (!list.isEmpty() && list.getFirst() instanceof Boolean) {
      byte[] flags = new byte[list.size()];
      for (int i = 0; i < flags.length; i++) {
        flags[i] = (byte) ((Boolean) list.get(i) ? 1 : 0);
      }
      return new PackedNumbers(ValueType.BOOL, flags);
    }
    if (!list.isEmpty() && list.getFirst() instanceof Number) {
      List<Number> numbers = list.stream().map(Number.class::cast).toList();
      if (list.getFirst() instanceof Float) {
        float[] reals = new float[numbers.size()];
        for (int i = 0; i < reals.length; i++) {
          reals[i] = numbers.get(i).floatValue();
        }
        return PackedNumbers.of(reals);
      }
      return PackedNumbers.of(numbers.stream().mapToLong(Number::longValue).toArray());
    }
    PackedStrings.Builder strings = new PackedStrings.Builder(list.size());
    list.forEach(s -> strings.add((String) s));
    return strings.build();
  }
}
