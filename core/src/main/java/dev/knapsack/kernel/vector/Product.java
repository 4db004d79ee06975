package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix products.
 *
 * <p>One token: a dot product a row, straight from the row's format. Several: {@link #ROWS} rows of
 * weights are decoded at a time, {@link #DEPTH} columns deep, so that they stay in the cache while
 * all tokens use them.
 */
final class Product {
  /** Rows decoded at a time. */
  static final int ROWS = 32;

  /** Columns decoded at a time: rows and tokens of a tile fit the first-level cache. */
  private static final int DEPTH = 1024;

  private static final int TILE_TOKENS = 4;
  private static final int TILE_ROWS = 2;

  private final RowKernels rows;

  Product(RowKernels rows) {
    this.rows = rows;
  }

  static long scratchBytes(KernelLimits limits) {
    long one = 2L * Float.BYTES * limits.columns();
    long depth = Math.min(DEPTH, limits.columns());
    long many = (ROWS + TILE_TOKENS) * depth * Float.BYTES;
    return sumsBytes() + Math.max(one, limits.tokens() > 1 ? many : 0);
  }

  private static long sumsBytes() {
    return (long) TILE_TOKENS * TILE_ROWS * Lanes.BYTES;
  }

  void multiply(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    if (x.rows() == 1) {
      one(w, x, out, from, to, scratch);
    } else {
      many(w, x, out, from, to, scratch);
    }
  }

  private void one(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    int columns = w.columns();
    RowKernel kernel = rows.of(w.format());
    MemorySegment floats = x.data();
    long free = 0;
    if (x.format() instanceof Q8Activations) {
      rows.of(x.format()).unpack(x.data(), 0, scratch, 0, columns);
      floats = scratch;
      free = (long) columns * Float.BYTES;
    }
    kernel.prepare(floats, 0, columns, scratch, free);
    for (int r = from; r < to; r++) {
      float y = kernel.dot(w.data(), w.rowOffset(r), floats, 0, columns, scratch, free);
      Lanes.put(out.data(), (long) r * Float.BYTES, y);
    }
  }

  private void many(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    int depth = Math.min(DEPTH, w.columns());
    for (int r = from; r < to; r += ROWS) {
      int last = Math.min(to, r + ROWS);
      for (int c = 0; c < w.columns(); c += depth) {
        block(w, x, out, r, last, c, Math.min(depth, w.columns() - c), scratch);
      }
    }
  }

  /** Adds the products of columns {@code [c, c + depth)} of some rows to what is there. */
  private void block(
      Matrix w, Matrix x, Matrix out, int from, int to, int c, int depth, MemorySegment scratch) {
    RowKernel kernel = rows.of(w.format());
    long stride = (long) depth * Float.BYTES;
    long decoded = sumsBytes();
    for (int r = from; r < to; r++) {
      long row = w.rowOffset(r) + w.format().bytes(c);
      kernel.unpack(w.data(), row, scratch, decoded + (r - from) * stride, depth);
    }
    long tokens = decoded + (to - from) * stride;
    boolean codes = x.format() instanceof Q8Activations;
    for (int t = 0; t < x.rows(); t += TILE_TOKENS) {
      int count = Math.min(TILE_TOKENS, x.rows() - t);
      MemorySegment floats = x.data();
      long first = x.rowOffset(t) + x.format().bytes(c);
      long xStride = x.rowBytes();
      if (codes) {
        for (int i = 0; i < count; i++) {
          rows.of(x.format())
              .unpack(x.data(), first + i * xStride, scratch, tokens + i * stride, depth);
        }
        floats = scratch;
        first = tokens;
        xStride = stride;
      }
      for (int r = from; r < to; r += TILE_ROWS) {
        long row = decoded + (r - from) * stride;
        if (count == TILE_TOKENS && to - r >= TILE_ROWS) {
          tile(scratch, row, stride, floats, first, xStride, depth);
          tail(scratch, row, stride, floats, first, xStride, depth, out, t, r, c == 0);
        } else {
          edge(
              scratch,
              row,
              stride,
              floats,
              first,
              xStride,
              depth,
              out,
              t,
              count,
              r,
              Math.min(TILE_ROWS, to - r),
              c == 0);
        }
      }
    }
  }

  /** Two rows by four tokens: eight sums, written lane by lane to the start of the scratch. */
  private static void tile(
      MemorySegment scratch,
      long w,
      long wStride,
      MemorySegment x,
      long xFirst,
      long xStride,
      int depth) {
    FloatVector a0 = Lanes.zero();
    FloatVector a1 = Lanes.zero();
    FloatVector a2 = Lanes.zero();
    FloatVector a3 = Lanes.zero();
    FloatVector b0 = Lanes.zero();
    FloatVector b1 = Lanes.zero();
    FloatVector b2 = Lanes.zero();
    FloatVector b3 = Lanes.zero();
    long w1 = w + wStride;
    long x1 = xFirst + xStride;
    long x2 = x1 + xStride;
    long x3 = x2 + xStride;
    for (int i = 0; i < Lanes.whole(depth); i += Lanes.LENGTH) {
      long at = (long) i * Float.BYTES;
      FloatVector p = Lanes.load(scratch, w + at);
      FloatVector q = Lanes.load(scratch, w1 + at);
      FloatVector v = Lanes.load(x, xFirst + at);
      a0 = p.fma(v, a0);
      b0 = q.fma(v, b0);
      v = Lanes.load(x, x1 + at);
      a1 = p.fma(v, a1);
      b1 = q.fma(v, b1);
      v = Lanes.load(x, x2 + at);
      a2 = p.fma(v, a2);
      b2 = q.fma(v, b2);
      v = Lanes.load(x, x3 + at);
      a3 = p.fma(v, a3);
      b3 = q.fma(v, b3);
    }
    Lanes.store(a0, scratch, 0);
    Lanes.store(a1, scratch, Lanes.BYTES);
    Lanes.store(a2, scratch, 2 * Lanes.BYTES);
    Lanes.store(a3, scratch, 3 * Lanes.BYTES);
    Lanes.store(b0, scratch, 4 * Lanes.BYTES);
    Lanes.store(b1, scratch, 5 * Lanes.BYTES);
    Lanes.store(b2, scratch, 6 * Lanes.BYTES);
    Lanes.store(b3, scratch, 7 * Lanes.BYTES);
  }

  private static void tail(
      MemorySegment scratch,
      long w,
      long wStride,
      MemorySegment x,
      long xFirst,
      long xStride,
      int depth,
      Matrix out,
      int t,
      int r,
      boolean start) {
    for (int row = 0; row < TILE_ROWS; row++) {
      for (int token = 0; token < TILE_TOKENS; token++) {
        float sum =
            Lanes.sum(Lanes.load(scratch, (long) (row * TILE_TOKENS + token) * Lanes.BYTES));
        sum = rest(scratch, w + row * wStride, x, xFirst + token * xStride, depth, sum);
        put(out, t + token, r + row, sum, start);
      }
    }
  }

  /** One output at a time, in the order in which {@link #tile} adds. */
  private static void edge(
      MemorySegment scratch,
      long w,
      long wStride,
      MemorySegment x,
      long xFirst,
      long xStride,
      int depth,
      Matrix out,
      int t,
      int tokens,
      int r,
      int rowCount,
      boolean start) {
    for (int row = 0; row < rowCount; row++) {
      for (int token = 0; token < tokens; token++) {
        long rowAt = w + row * wStride;
        long tokenAt = xFirst + token * xStride;
        float sum = single(scratch, rowAt, x, tokenAt, depth);
        sum = rest(scratch, rowAt, x, tokenAt, depth, sum);
        put(out, t + token, r + row, sum, start);
      }
    }
  }

  private static float single(MemorySegment scratch, long w, MemorySegment x, long xAt, int depth) {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < Lanes.whole(depth); i += Lanes.LENGTH) {
      long at = (long) i * Float.BYTES;
      a = Lanes.load(scratch, w + at).fma(Lanes.load(x, xAt + at), a);
    }
    return Lanes.sum(a);
  }

  private static float rest(
      MemorySegment scratch, long w, MemorySegment x, long xAt, int depth, float sum) {
    float total = sum;
    for (int i = Lanes.whole(depth); i < depth; i++) {
      long at = (long) i * Float.BYTES;
      total = Math.fma(Lanes.get(scratch, w + at), Lanes.get(x, xAt + at), total);
    }
    return total;
  }

  private static void put(Matrix out, int t, int r, float sum, boolean start) {
    long at = out.rowOffset(t) + (long) r * Float.BYTES;
    Lanes.put(out.data(), at, start ? sum : Lanes.get(out.data(), at) + sum);
  }
}
