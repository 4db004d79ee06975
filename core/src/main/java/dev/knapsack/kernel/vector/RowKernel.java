package dev.knapsack.kernel.vector;

import java.lang.foreign.MemorySegment;

/**
 * What a format must be able to do, fast, with one row of numbers stored in it. One small class a
 * format, so that each is compiled by itself.
 */
abstract class RowKernel {
  /** Decodes {@code columns} numbers, whole blocks, to float32. */
  abstract void unpack(
      MemorySegment w, long offset, MemorySegment target, long targetOffset, int columns);

  /**
   * What {@link #dot} wants to know about {@code x} beforehand, once for many rows.
   *
   * @param scratch receives it, from {@code scratchOffset}: at most {@code columns} floats
   */
  void prepare(
      MemorySegment x, long xOffset, int columns, MemorySegment scratch, long scratchOffset) {}

  /**
   * The dot product of a row and {@code columns} float32 numbers, in an order that depends on
   * {@code columns} alone.
   *
   * @param scratch {@code columns} floats from {@code scratchOffset}, as {@link #prepare} left them
   */
  float dot(
      MemorySegment w,
      long offset,
      MemorySegment x,
      long xOffset,
      int columns,
      MemorySegment scratch,
      long scratchOffset) {
    unpack(w, offset, scratch, scratchOffset, columns);
    return F32Row.dot(scratch, scratchOffset, x, xOffset, columns);
  }
}
