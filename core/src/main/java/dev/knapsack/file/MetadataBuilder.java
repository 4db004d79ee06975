package dev.knapsack.file;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Collects {@link Metadata} to write: each value keeps the type that it has in a GGUF file.
 *
 * <p>Integers become UINT32 where they fit, then INT32, then INT64; reals become FLOAT32: what
 * other readers of GGUF expect of the keys they know. {@link #put(String, ValueType, Object)} asks
 * for another type.
 */
public final class MetadataBuilder {
  private final Map<String, Object> values = new LinkedHashMap<>();
  private final Map<String, ValueType> types = new LinkedHashMap<>();

  public MetadataBuilder() {}

  /** Starts with all that another file holds, in its types. */
  public MetadataBuilder(Metadata start) {
    if (start instanceof PackedMetadata packed) {
      values.putAll(packed.all());
      types.putAll(packed.types());
    } else {
      throw new IllegalArgumentException("Not the metadata of a model file: " + start);
    }
  }

  public MetadataBuilder string(String key, String value) {
    return put(key, ValueType.STRING, value);
  }

  public MetadataBuilder integer(String key, long value) {
    ValueType type =
        value >= 0 && value <= 0xFFFF_FFFFL
            ? ValueType.UINT32
            : value == (int) value ? ValueType.INT32 : ValueType.INT64;
    return put(key, type, value);
  }

  public MetadataBuilder real(String key, double value) {
    return put(key, ValueType.FLOAT32, value);
  }

  public MetadataBuilder flag(String key, boolean value) {
    return put(key, ValueType.BOOL, value);
  }

  public MetadataBuilder strings(String key, List<String> value) {
    PackedStrings.Builder strings = new PackedStrings.Builder(value.size());
    value.forEach(strings::add);
    return put(key, strings.build());
  }

  public MetadataBuilder integers(String key, int... value) {
    return put(key, PackedNumbers.of(value));
  }

  public MetadataBuilder integers(String key, long... value) {
    return put(key, PackedNumbers.of(value));
  }

  public MetadataBuilder reals(String key, float... value) {
    return put(key, PackedNumbers.of(value));
  }

  /** Flags in an array, of type BOOL. */
  public MetadataBuilder flags(String key, boolean... value) {
    byte[] bytes = new byte[value.length];
    for (int i = 0; i < value.length; i++) {
      bytes[i] = (byte) (value[i] ? 1 : 0);
    }
    return put(key, new PackedNumbers(ValueType.BOOL, bytes));
  }

  /**
   * One value of any type but ARRAY.
   *
   * @param value a {@code String}, {@code Boolean} or {@code Number}, as the type asks for
   * @throws IllegalArgumentException if the value is of another kind or out of the type's range
   */
  public MetadataBuilder put(String key, ValueType type, Object value) {
    Object stored =
        switch (value) {
          case String text when type == ValueType.STRING -> text;
          case Boolean flag when type == ValueType.BOOL -> flag;
          case Number number when type.isNumber() -> {
            ByteBuffer bytes = ByteBuffer.allocate(type.bytes).order(ByteOrder.LITTLE_ENDIAN);
            type.put(bytes, number);
            Object back = new PackedNumbers(type, bytes.array()).get(0);
            if (back instanceof Long integer && integer != number.longValue()
                || back instanceof BigInteger && number instanceof Long) {
              throw new IllegalArgumentException(key + ": " + value + " does not fit " + type);
            }
            yield back;
          }
          default -> throw new IllegalArgumentException(key + ": " + value + " is no " + type);
        };
    values.put(key, stored);
    types.put(key, type);
    return this;
  }

  public MetadataBuilder remove(String key) {
    values.remove(key);
    types.remove(key);
    return this;
  }

  /**
   * @param file what errors about a missing key name
   */
  public Metadata build(Path file) {
    return new PackedMetadata(file, values, types);
  }

  private MetadataBuilder put(String key, Object packed) {
    values.put(key, packed);
    types.remove(key);
    return this;
  }
}
