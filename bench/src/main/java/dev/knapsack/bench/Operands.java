package dev.knapsack.bench;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** Random operands of kernels. */
final class Operands {
  private final Arena arena = Arena.ofShared();
  private final Random random = new Random(1);

  MemorySegment memory(long bytes) {
    return arena.allocate(bytes, 64);
  }

  /** Random numbers; after 64 rows they repeat. */
  Matrix matrix(Format format, int rows, int columns) {
    long rowBytes = format.bytes(columns);
    MemorySegment data = memory(rowBytes * rows);
    MemorySegment numbers = memory((long) columns * Float.BYTES);
    for (int r = 0; r < rows; r++) {
      if (r < 64) {
        for (int c = 0; c < columns; c++) {
          numbers.setAtIndex(ValueLayout.JAVA_FLOAT, c, (float) random.nextGaussian());
        }
        format.encode(numbers, 0, data, r * rowBytes, columns);
      } else {
        MemorySegment.copy(data, r % 64 * rowBytes, data, r * rowBytes, rowBytes);
      }
    }
    return new Matrix(format, rows, columns, data);
  }

  Matrix floats(int rows, int columns) {
    return matrix(Formats.F32, rows, columns);
  }

  Matrix empty(Format format, int rows, int columns) {
    return new Matrix(format, rows, columns, memory(format.bytes(columns) * rows));
  }

  /** Activations as these kernels like them when they meet such weights. */
  Matrix activations(Kernels kernels, Format weights, int tokens, int columns) {
    Matrix x = floats(tokens, columns);
    if (weights instanceof BlockFormat
        && kernels.products().precision() == Compute.Precision.EIGHT_BIT) {
      Matrix codes = empty(Q8Activations.FORMAT, tokens, columns);
      kernels.products().quantise(x, codes, 0, tokens);
      return codes;
    }
    return x;
  }

  /** The scratch memory that these kernels need. */
  static Scratch scratch(
      Kernels kernels, int tokens, int columns, int heads, int queryGroup, int headSize) {
    return Scratch.of(
        kernels.scratchBytes(new KernelLimits(tokens, columns, heads, queryGroup, headSize)));
  }

  void free() {
    arena.close();
  }
}
