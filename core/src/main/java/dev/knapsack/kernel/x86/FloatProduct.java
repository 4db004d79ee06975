package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;

/**
 * Products of weights in one floating-point format and float32 activations, in {@linkplain
 * FloatTile tiles}, which add up in one order however many tokens there are.
 */
final class FloatProduct implements Product {
  /**
   * Rows that meet a few tokens before the next tokens come: with those, they stay in the cache.
   */
  private static final int BLOCK = 24;

  private final Isa isa;

  /** By rows − 1 and tokens − 1. */
  private final Code[][] tiles;

  FloatProduct(Format format, Isa isa, Code.Loader loader) {
    this.isa = isa;
    tiles = new Code[FloatTile.mostRows(isa, 1)][FloatTile.mostTokens(isa)];
    for (int tokens = 1; tokens <= FloatTile.mostTokens(isa); tokens++) {
      for (int rows = 1; rows <= FloatTile.mostRows(isa, tokens); rows++) {
        tiles[rows - 1][tokens - 1] = loader.load(FloatTile.code(format.name(), isa, rows, tokens));
      }
    }
  }

  @Override
  public boolean fits(Matrix w, Matrix x, Tokens tokens) {
    return x.format().equals(Formats.F32) && w.columns() % FloatTile.columns(isa) == 0;
  }

  @Override
  public void multiply(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch) {
    for (int block = from; block < to; block += BLOCK) {
      int last = Math.min(to, block + BLOCK);
      int count;
      for (int t = 0; t < x.rows(); t += count) {
        count = Math.min(FloatTile.mostTokens(isa), x.rows() - t);
        int most = FloatTile.mostRows(isa, count);
        int whole = (last - block) / most;
        tiles(w, x, out, block, most, whole, t, count);
        int rest = block + whole * most;
        tiles(w, x, out, rest, last - rest, 1, t, count);
      }
    }
  }

  /** So many tiles of some rows and some tokens, in one call. */
  private void tiles(
      Matrix w, Matrix x, Matrix out, int first, int rows, int count, int token, int tokens) {
    if (rows == 0 || count == 0) {
      return;
    }
    tiles[rows - 1][tokens - 1].call(
        w.data().asSlice(w.rowOffset(first), (long) count * rows * w.rowBytes()),
        x.data().asSlice(x.rowOffset(token), tokens * x.rowBytes()),
        out.data().asSlice(out.rowOffset(token) + (long) first * Float.BYTES),
        count,
        w.rowBytes(),
        x.rowBytes(),
        out.rowBytes());
  }
}
