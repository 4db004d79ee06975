package dev.knapsack.kernel;

import static dev.knapsack.kernel.Floats.F32;
import static dev.knapsack.kernel.Floats.put;

import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Matrix products by their definition. */
final class ScalarProducts implements MatrixProducts {
  private static final int Q8_BLOCK = Q8Activations.FORMAT.blockBytes();

  @Override
  public Compute.Precision precision() {
    return Compute.Precision.FLOAT;
  }

  @Override
  public int rowTile() {
    return 1;
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    return 2L * Float.BYTES * limits.columns();
  }

  @Override
  public void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, Scratch scratch) {
    Shapes.checkMatmul(w, x, out, from, to);
    if (x.format() instanceof Q8Activations && w.format() instanceof BlockFormat format) {
      matmulOfCodes(w, format, x, out, from, to);
      return;
    }
    int columns = w.columns();
    float[] both = scratch.floats();
    for (int r = from; r < to; r++) {
      w.format().decode(w.data(), w.rowOffset(r), both, 0, columns);
      for (int t = 0; t < x.rows(); t++) {
        x.format().decode(x.data(), x.rowOffset(t), both, columns, columns);
        double sum = 0;
        for (int c = 0; c < columns; c++) {
          sum += (double) both[c] * both[columns + c];
        }
        put(out.data(), out.rowOffset(t), r, (float) sum);
      }
    }
  }

  /** For each group of 16: {@code scale · Σ codes of w · codes of x + offset · Σ x}. */
  private static void matmulOfCodes(
      Matrix w, BlockFormat format, Matrix x, Matrix out, int from, int to) {
    int columns = w.columns();
    int groups = columns / BlockFormat.GROUP;
    byte[] codes = new byte[columns];
    float[] scales = new float[groups];
    float[] offsets = new float[groups];
    byte[] codesOfX = new byte[x.rows() * columns];
    int together = Q8Activations.FORMAT.blockValues();
    for (int at = 0; at < codesOfX.length; at += together) {
      long block = (long) at / together * Q8_BLOCK;
      MemorySegment.copy(x.data(), ValueLayout.JAVA_BYTE, block, codesOfX, at, together);
    }
    for (int r = from; r < to; r++) {
      for (int at = 0; at < columns; at += format.blockValues()) {
        long block = w.rowOffset(r) + format.bytes(at);
        format.unpack(w.data(), block, codes, scales, offsets, at);
      }
      for (int t = 0; t < x.rows(); t++) {
        double sum = 0;
        for (int g = 0; g < groups; g++) {
          long block = x.rowOffset(t) + (long) (g / 2) * Q8_BLOCK;
          long half = g % 2;
          int dot = 0;
          for (int i = 0; i < BlockFormat.GROUP; i++) {
            int at = g * BlockFormat.GROUP + i;
            dot += codes[at] * codesOfX[t * columns + at];
          }
          double scaleOfX = x.data().get(F32, block + Q8Activations.SCALE);
          double sumOfX = x.data().get(F32, block + Q8Activations.HALF_SUMS + half * Float.BYTES);
          sum += scaleOfX * scales[g] * dot + offsets[g] * sumOfX;
        }
        put(out.data(), out.rowOffset(t), r, (float) sum);
      }
    }
  }

  @Override
  public void quantise(Matrix x, Matrix out, int from, int to) {
    Shapes.checkSame(x, out, from, to);
    if (!(out.format() instanceof Q8Activations format)) {
      throw new IllegalArgumentException(
          "Activations are quantised to " + Q8Activations.FORMAT.name() + ", not " + out.format());
    }
    for (int t = from; t < to; t++) {
      format.encode(x.data(), x.rowOffset(t), out.data(), out.rowOffset(t), x.columns());
    }
  }
}
