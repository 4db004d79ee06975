package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * A row-major matrix in native memory: {@code rows × columns} numbers in one format, rows one after
 * the other.
 *
 * @param columns numbers in a row, a multiple of the format's block
 * @param data at least {@code rows · rowBytes()} bytes, from offset 0
 */
public record Matrix(Format format, int rows, int columns, MemorySegment data) {
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

  /** The rows from {@code from} (inclusive) to {@code to} (exclusive), as a view. */
  public Matrix rows(int from, int to) {
    return new Matrix(
        format, to - from, columns, data.asSlice(rowOffset(from), (to - from) * rowBytes()));
  }
}
