package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A way to store numbers: blocks of {@link #blockValues()} numbers in {@link #blockBytes()} bytes,
 * little-endian.
 *
 * <p>There is one class a format; {@link Formats} lists them.
 */
public interface Format {
  /**
   * The name as GGUF tools print it, in upper case: {@code F32}, {@code Q4_0}, {@code Q4_K}, {@code
   * MXFP4}.
   */
  String name();

  /**
   * The number of the type in a GGUF file ({@code ggml_type}), or -1 for a format that files do not
   * hold.
   */
  int ggufType();

  int blockValues();

  int blockBytes();

  /** Bytes of {@code values} numbers, a multiple of {@link #blockValues()}. */
  default long bytes(long values) {
    if (values % blockValues() != 0) {
      throw new IllegalArgumentException(
          name() + " stores blocks of " + blockValues() + " values; " + values + " is no multiple");
    }
    return Math.multiplyExact(values / blockValues(), (long) blockBytes());
  }

  /**
   * Decodes {@code values} numbers (a multiple of {@link #blockValues()}) to float32.
   *
   * @param source blocks, from byte {@code sourceOffset}
   * @param target float32 values, from byte {@code targetOffset}
   */
  void decode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values);

  /**
   * Decodes numbers into an array, which is several times faster than into memory where there are
   * many.
   *
   * @param values a multiple of {@link #blockValues()}
   */
  default void decode(MemorySegment source, long sourceOffset, float[] target, int at, int values) {
    decode(source, sourceOffset, MemorySegment.ofArray(target), (long) Float.BYTES * at, values);
  }

  /**
   * Encodes {@code values} float32 numbers (a multiple of {@link #blockValues()}).
   *
   * @param source float32 values, from byte {@code sourceOffset}
   * @param target blocks, from byte {@code targetOffset}
   */
  void encode(
      MemorySegment source,
      long sourceOffset,
      MemorySegment target,
      long targetOffset,
      long values);
}
