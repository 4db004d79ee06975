package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;

/**
 * Products of weights in one block format and 8-bit activations.
 *
 * <p>One token: {@link RowDot}, straight from the weights. Several: rows are laid out as {@link
 * Tile}s, as many as stay in the cache while all tokens meet them.
 */
final class CodesProduct implements Product {
  private static final int GROUP = 32;

  /**
   * Tiles lie in the second-level cache, beside a few tokens: each reading of those, which may come
   * from further away, serves all of them.
   */
  private static final long TILES_BYTES = 192 << 10;

  /** Weights that one call takes: while it runs, the garbage collector waits. */
  private static final long CALL_BYTES = 1 << 20;

  private final Tile tile;
  private final int blockColumns;
  private final Code arranger;
  private final Code rowDot;
  private final Code packer;

  /** For 1, 2, … tokens. */
  private final Code[] tileProducts;

  CodesProduct(RowCode row, Isa isa, Code.Loader loader) {
    tile = row.tile(isa);
    blockColumns = row.columns();
    arranger = loader.load(Arranger.code(row.order()));
    rowDot = loader.load(RowDot.code(row, isa));
    packer = loader.load(Packer.code(row, isa));
    tileProducts = new Code[TileProduct.mostTokens(tile)];
    for (int i = 0; i < tileProducts.length; i++) {
      tileProducts[i] = loader.load(TileProduct.code(tile, i + 1));
    }
  }

  /** A tile, and the outputs of one that reaches beyond the rows that are asked for. */
  static long scratchBytes(KernelLimits limits, Isa isa) {
    // The widest groups of the tiles there are: codes of 8 bits, or two scales.
    Tile bytes = new Tile(isa, 255, false);
    int widest = Math.max(bytes.bytes(), new Tile(isa, 63, true).bytes());
    long groups = Math.ceilDiv(limits.columns(), GROUP);
    return Math.max(TILES_BYTES, groups * widest + (long) limits.tokens() * bytes.vector());
  }

  @Override
  public boolean fits(Matrix w, Matrix x, Tokens tokens) {
    return x.format() instanceof Q8Activations
        && (tokens == Tokens.ALONE || w.rows() >= tile.rows());
  }

  @Override
  public void multiply(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch) {
    if (from < to) {
      switch (tokens) {
        case ALONE -> alone(w, x, out, from, to, scratch);
        case TOGETHER -> together(w, x, out, from, to, scratch);
      }
    }
  }

  /** Each token by itself; several meet some rows while these are in the cache. */
  private void alone(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    int most = x.rows() == 1 ? to - from : (int) Math.max(1, TILES_BYTES / w.rowBytes());
    for (int row = from; row < to; row += most) {
      int last = Math.min(to, row + most);
      for (int t = 0; t < x.rows(); t++) {
        one(w, x.rows(t, t + 1), out.rows(t, t + 1), row, last, scratch);
      }
    }
  }

  private void together(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    int tiles = tilesAtOnce(w.columns());
    int rows = tile.rows();
    int row = from;
    while (row + rows <= to) {
      int count = Math.min(tiles, (to - row) / rows);
      pack(w, row, count, scratch);
      MemorySegment outputs = out.data().asSlice((long) row * Float.BYTES);
      multiply(x, outputs, out.rowBytes(), count, scratch);
      row += count * rows;
    }
    if (row < to) {
      last(w, x, out, row, to, scratch);
    }
  }

  private long tileBytes(int columns) {
    return (long) (columns / GROUP) * tile.bytes();
  }

  /** Tiles that some tokens meet before the next tokens come. */
  private int tilesAtOnce(int columns) {
    return (int) Math.max(1, TILES_BYTES / tileBytes(columns));
  }

  private void one(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    long groups = w.columns() / Arranger.COLUMNS;
    long rest = w.columns() % Arranger.COLUMNS / GROUP;
    arranger.call(x.data(), scratch, MemorySegment.NULL, groups, rest, 0, 0);
    long rowBytes = w.rowBytes();
    int most = (int) Math.max(1, CALL_BYTES / rowBytes);
    for (int row = from; row < to; row += most) {
      int rows = Math.min(most, to - row);
      rowDot.call(
          w.data().asSlice(row * rowBytes, rows * rowBytes),
          scratch,
          out.data().asSlice((long) row * Float.BYTES, (long) rows * Float.BYTES),
          rows,
          groups * Arranger.BYTES,
          rest * Q8Activations.FORMAT.blockBytes(),
          0);
    }
  }

  /** Fewer rows than a tile has: it takes those before them too, which are thrown away. */
  private void last(Matrix w, Matrix x, Matrix out, int from, int to, MemorySegment scratch) {
    int first = Math.max(0, to - tile.rows());
    pack(w, first, 1, scratch);
    MemorySegment outputs = scratch.asSlice(tileBytes(w.columns()));
    multiply(x, outputs, tile.vector(), 1, scratch);
    for (int t = 0; t < x.rows(); t++) {
      MemorySegment.copy(
          outputs,
          (long) t * tile.vector() + (long) (from - first) * Float.BYTES,
          out.data(),
          out.rowOffset(t) + (long) from * Float.BYTES,
          (long) (to - from) * Float.BYTES);
    }
  }

  /** Lays rows out as so many tiles. */
  private void pack(Matrix w, int row, int count, MemorySegment scratch) {
    long rowBytes = w.rowBytes();
    packer.call(
        w.data().asSlice(row * rowBytes, (long) count * tile.rows() * rowBytes),
        scratch,
        MemorySegment.NULL,
        w.columns() / blockColumns,
        rowBytes,
        tileBytes(w.columns()),
        count);
  }

  private void multiply(
      Matrix x, MemorySegment outputs, long outStride, int tiles, MemorySegment packed) {
    int count;
    for (int t = 0; t < x.rows(); t += count) {
      // As even as it goes: a few tokens alone would not keep the processor busy.
      int left = x.rows() - t;
      count = Math.ceilDiv(left, Math.ceilDiv(left, tileProducts.length));
      tileProducts[count - 1].call(
          packed,
          x.data().asSlice(x.rowOffset(t)),
          outputs.asSlice(t * outStride),
          x.columns() / GROUP,
          x.rowBytes(),
          outStride,
          tiles);
    }
  }
}
