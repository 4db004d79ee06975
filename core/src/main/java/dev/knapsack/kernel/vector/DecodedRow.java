package dev.knapsack.kernel.vector;

import dev.knapsack.tensor.Format;
import java.lang.foreign.MemorySegment;

/** Every other format that has no class of its own: numbers are decoded one by one. */
final class DecodedRow extends RowKernel {
  private final Format format;

  DecodedRow(Format format) {
    this.format = format;
  }

  @Override
  void unpack(MemorySegment w, long offset, float[] target, int to, int columns) {
    format.decode(w, offset, MemorySegment.ofArray(target), (long) to * Float.BYTES, columns);
  }
}
