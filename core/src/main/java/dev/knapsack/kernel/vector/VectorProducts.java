package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.MatrixProducts;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Matrix;

/**
 * Matrix products in float32, of weights as they lie in their file; of 8-bit activations too, as
 * the Vector API has no 8-bit products.
 *
 * <p>One token: a dot product a row, straight from the row's format. Several: {@link #ROWS} rows of
 * weights are decoded at a time, {@link #DEPTH} columns deep, so that they stay in the cache while
 * all tokens use them; {@link Tile} multiplies a few rows by a few tokens in registers.
 */
final class VectorProducts implements MatrixProducts {
  /** Rows decoded at a time: with {@link #DEPTH}, a part of the second-level cache. */
  static final int ROWS = 32 * Tile.ROWS;

  /** Columns decoded at a time: tokens and rows of a tile fit the first-level cache. */
  private static final int DEPTH = 1024;

  private final RowKernels rows;
  private final MatrixProducts scalar;

  /**
   * @param scalar for quantising
   */
  VectorProducts(RowKernels rows, MatrixProducts scalar) {
    this.rows = rows;
    this.scalar = scalar;
  }

  @Override
  public Compute.Precision precision() {
    return Compute.Precision.FLOAT;
  }

  @Override
  public int rowTile() {
    return 4 * Tile.ROWS;
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    long one = 2L * limits.columns();
    long depth = Math.min(DEPTH, Tile.padded(limits.columns()));
    long many = Tile.SUMS + (ROWS + Tile.TOKENS + 1) * depth;
    return Float.BYTES * Math.max(one, many);
  }

  @Override
  public void quantise(Matrix x, Matrix out, int from, int to) {
    scalar.quantise(x, out, from, to);
  }

  @Override
  public void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, Scratch scratch) {
    Shapes.checkMatmul(w, x, out, from, to);
    float[] memory = scratch.floats();
    switch (tokens) {
      case ALONE -> {
        for (int t = 0; t < x.rows(); t++) {
          one(w, x.rows(t, t + 1), out.rows(t, t + 1), from, to, memory);
        }
      }
      case TOGETHER -> many(w, x, out, from, to, memory);
    }
  }

  private void one(Matrix w, Matrix x, Matrix out, int from, int to, float[] memory) {
    int columns = w.columns();
    RowKernel kernel = rows.of(w.format());
    rows.of(x.format()).unpack(x.data(), 0, memory, 0, columns);
    kernel.prepare(memory, 0, columns, columns);
    long rowBytes = w.rowBytes();
    for (int r = from; r < to; r++) {
      float y = kernel.dot(w.data(), r * rowBytes, memory, 0, columns, columns);
      Lanes.put(out.data(), (long) r * Float.BYTES, y);
    }
  }

  private void many(Matrix w, Matrix x, Matrix out, int from, int to, float[] memory) {
    for (int r = from; r < to; r += ROWS) {
      int last = Math.min(to, r + ROWS);
      for (int c = 0; c < w.columns(); c += DEPTH) {
        block(w, x, out, r, last, c, Math.min(DEPTH, w.columns() - c), memory);
      }
    }
  }

  /** Adds the products of columns {@code [c, c + depth)} of some rows to what is there. */
  private void block(
      Matrix w, Matrix x, Matrix out, int from, int to, int c, int depth, float[] memory) {
    int padded = Tile.padded(depth);
    int row = Tile.SUMS;
    int tokens = row + padded;
    int decoded = tokens + Tile.TOKENS * padded;
    RowKernel weights = rows.of(w.format());
    long wAt = from * w.rowBytes() + w.format().bytes(c);
    for (int r = 0; r < to - from; r += Tile.ROWS) {
      int at = decoded + r * padded;
      int count = Math.min(Tile.ROWS, to - from - r);
      pack(weights, w, wAt + r * w.rowBytes(), count, Tile.ROWS, depth, row, memory, at);
    }
    RowKernel activations = rows.of(x.format());
    long xAt = x.format().bytes(c);
    long outStride = out.rowBytes();
    for (int t = 0; t < x.rows(); t += Tile.TOKENS) {
      int count = Math.min(Tile.TOKENS, x.rows() - t);
      long first = xAt + t * x.rowBytes();
      pack(activations, x, first, count, Tile.TOKENS, depth, row, memory, tokens);
      for (int r = 0; r < to - from; r += Tile.ROWS) {
        Tile.multiply(memory, decoded + r * padded, tokens, padded / Lanes.LENGTH);
        long outAt = t * outStride + (long) (from + r) * Float.BYTES;
        int rowCount = Math.min(Tile.ROWS, to - from - r);
        Tile.store(memory, out.data(), outAt, outStride, rowCount, count, c == 0);
      }
    }
  }

  /**
   * Decodes a few rows and lays them side by side, a vector of each in turn; rows that are not
   * there are zero.
   */
  private static void pack(
      RowKernel kernel,
      Matrix m,
      long offset,
      int count,
      int of,
      int depth,
      int row,
      float[] memory,
      int at) {
    long stride = m.rowBytes();
    for (int i = 0; i < of; i++) {
      if (i < count) {
        kernel.unpack(m.data(), offset + i * stride, memory, row, depth);
      }
      Tile.spread(memory, row, i < count ? depth : 0, Tile.padded(depth), at, i, of);
    }
  }
}
