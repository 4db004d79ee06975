package dev.knapsack.file;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** The types of a value in GGUF metadata. */
public enum ValueType {
  UINT8(0, 1),
  INT8(1, 1),
  UINT16(2, 2),
  INT16(3, 2),
  UINT32(4, 4),
  INT32(5, 4),
  FLOAT32(6, 4),
  BOOL(7, 1),
  STRING(8, 8),
  ARRAY(9, 12),
  UINT64(10, 8),
  INT64(11, 8),
  FLOAT64(12, 8);

  private static final ValueType[] BY_NUMBER = values();

  /** The number of the type in a file. */
  final int number;

  /** Bytes of a value, or the fewest that a value may have. */
  final int bytes;

  ValueType(int number, int bytes) {
    this.number = number;
    this.bytes = bytes;
  }

  static @Nullable ValueType of(int number) {
    return number >= 0 && number < BY_NUMBER.length ? BY_NUMBER[number] : null;
  }

  boolean isNumber() {
    return this != BOOL && this != STRING && this != ARRAY;
  }

  /** Puts a number or flag (0 or 1), cut to this type. */
  void put(ByteBuffer into, Number value) {
    switch (this) {
      case UINT8, INT8, BOOL -> into.put(value.byteValue());
      case UINT16, INT16 -> into.putShort(value.shortValue());
      case UINT32, INT32 -> into.putInt(value.intValue());
      case FLOAT32 -> into.putFloat(value.floatValue());
      case UINT64, INT64 -> into.putLong(value.longValue());
      case FLOAT64 -> into.putDouble(value.doubleValue());
      case STRING, ARRAY -> throw new IllegalArgumentException(this + " is no number");
    }
  }
}
