package dev.knapsack.file;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.AbstractList;
import java.util.RandomAccess;

/** Numbers or flags as the bytes of a GGUF array, boxed when an entry is read. */
final class PackedNumbers extends AbstractList<Object> implements RandomAccess {
  private final ValueType type;
  private final ByteBuffer bytes;
  private final int size;

  /**
   * @param bytes little-endian values of {@code type}, which is neither a string nor an array
   */
  PackedNumbers(ValueType type, byte[] bytes) {
    this.type = type;
    this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    this.size = bytes.length / type.bytes;
  }

  static PackedNumbers of(long[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asLongBuffer().put(values);
    return new PackedNumbers(ValueType.INT64, bytes.array());
  }

  static PackedNumbers of(int[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(values);
    return new PackedNumbers(ValueType.INT32, bytes.array());
  }

  static PackedNumbers of(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return new PackedNumbers(ValueType.FLOAT32, bytes.array());
  }

  ValueType type() {
    return type;
  }

  byte[] bytes() {
    return bytes.array();
  }

  @Override
  public Object get(int index) {
    return switch (type) {
      case FLOAT32, FLOAT64 -> real(index);
      case BOOL -> integer(index) != 0;
      case UINT64 -> {
        long number = integer(index);
        yield number < 0 ? new BigInteger(Long.toUnsignedString(number)) : (Object) number;
      }
      default -> integer(index);
    };
  }

  @Override
  public int size() {
    return size;
  }

  boolean isReal() {
    return type == ValueType.FLOAT32 || type == ValueType.FLOAT64;
  }

  long integer(int index) {
    int at = index * type.bytes;
    return switch (type) {
      case UINT8, BOOL -> Byte.toUnsignedLong(bytes.get(at));
      case INT8 -> bytes.get(at);
      case UINT16 -> Short.toUnsignedLong(bytes.getShort(at));
      case INT16 -> bytes.getShort(at);
      case UINT32 -> Integer.toUnsignedLong(bytes.getInt(at));
      case INT32 -> bytes.getInt(at);
      case UINT64, INT64 -> bytes.getLong(at);
      case FLOAT32, FLOAT64, STRING, ARRAY ->
          throw new IllegalStateException(type + " is no integer");
    };
  }

  double real(int index) {
    return switch (type) {
      case FLOAT32 -> bytes.getFloat(index * type.bytes);
      case FLOAT64 -> bytes.getDouble(index * type.bytes);
      default -> integer(index);
    };
  }
}
