package dev.knapsack.kernel.x86;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.IntUnaryOperator;

/** Constants that the generated code keeps behind itself. */
final class Constants {
  private Constants() {}

  static Operand.Memory of(Assembler a, float value) {
    return a.constant(
        ByteBuffer.allocate(Float.BYTES).order(ByteOrder.LITTLE_ENDIAN).putFloat(value).array());
  }

  /** Eight 32-bit numbers, by their place. */
  static Operand.Memory ints(Assembler a, IntUnaryOperator byPlace) {
    return bytes(a, 32, i -> byPlace.applyAsInt(i / 4) >> (i % 4 * 8));
  }

  /** {@code count} bytes, by their place. */
  static Operand.Memory bytes(Assembler a, int count, IntUnaryOperator byPlace) {
    byte[] bytes = new byte[count];
    for (int i = 0; i < count; i++) {
      bytes[i] = (byte) byPlace.applyAsInt(i);
    }
    return a.constant(bytes);
  }
}
