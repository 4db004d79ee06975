package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * A row-major matrix in native memory: {@code rows × columns} numbers in one format, rows one after
 * the other.
 *
 * @param columns numbers in a row, a multiple of the format's block
 * @param data at least {@code rows · rowBytes()} bytes, from offset 0
 */
public record Matrix(Format format, int rows, int columns, MemorySegment data) {
  private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

  public Matrix {
    long bytes = Math.multiplyExact(format.bytes(columns), (long) rows);
    if (data.byteSize() < bytes) {
      throw new IllegalArgumentException(
          "%d × %d %s needs %,d bytes; got %,d"
              .formatted(rows, columns, format.name(), bytes, data.byteSize()));
    }
  }

  public long rowBytes() {
    return format.bytes(columns);
  }

  public long rowOffset(int row) {
    return row * rowBytes();
  }

  /** Decodes a row to F32 numbers, from byte {@code at} of {@code target}. */
  public void decodeRow(int row, MemorySegment target, long at) {
    Objects.checkIndex(row, rows);
    format.decode(data, rowOffset(row), target, at, columns);
  }

  /** Copies numbers of an F32 matrix, as many as the array has, from a column of a row on. */
  public void read(int row, long column, float[] numbers) {
    read(row, column, numbers, 0, numbers.length);
  }

  /** Copies {@code count} numbers of an F32 matrix to place {@code at} of an array. */
  public void read(int row, long column, float[] numbers, int at, int count) {
    MemorySegment.copy(data, F32, numberOffset(row, column), numbers, at, count);
  }

  /** Copies an array into an F32 matrix, from a column of a row on. */
  public void write(int row, long column, float[] numbers) {
    write(row, column, numbers, 0, numbers.length);
  }

  /** Copies {@code count} numbers of an array from place {@code at} into an F32 matrix. */
  public void write(int row, long column, float[] numbers, int at, int count) {
    MemorySegment.copy(numbers, at, data, F32, numberOffset(row, column), count);
  }

  private long numberOffset(int row, long column) {
    return rowOffset(row) + Float.BYTES * column;
  }

  /** The rows from {@code from} (inclusive) to {@code to} (exclusive), as a view. */
  public Matrix rows(int from, int to) {
    return new Matrix(
        format, to - from, columns, data.asSlice(rowOffset(from), (to - from) * rowBytes()));
  }
}
