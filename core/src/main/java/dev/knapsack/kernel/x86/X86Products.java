package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.MatrixProducts;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products in machine code, with 8-bit activations where weights are in a block format.
 *
 * <p>Formats and shapes without code are left to another provider, whose scratch memory it shares.
 */
final class X86Products implements MatrixProducts {
  private final MatrixProducts others;
  private final Isa isa;
  private final Code.Loader loader;
  private final Code quantiser;

  /** Generated code, of formats that have been met: most programs meet one or two. */
  private final Map<Format, Product> products = new ConcurrentHashMap<>();

  X86Products(MatrixProducts others, Isa isa, Code.Loader loader) {
    this.others = others;
    this.isa = isa;
    this.loader = loader;
    quantiser = loader.load(Quantiser.code());
  }

  private @Nullable Product product(Format format) {
    Product known = products.get(format);
    if (known != null) {
      return known;
    }
    return has(format) ? products.computeIfAbsent(format, this::generate) : null;
  }

  /** True where there is code for weights in a format. */
  static boolean has(Format format) {
    return FloatTile.has(format.name()) || RowCode.of(format.name()) != null;
  }

  private Product generate(Format format) {
    RowCode row = RowCode.of(format.name());
    return row == null ? new FloatProduct(format, isa, loader) : new CodesProduct(row, isa, loader);
  }

  @Override
  public Compute.Precision precision() {
    return Compute.Precision.EIGHT_BIT;
  }

  @Override
  public int rowTile() {
    return Tile.rows(isa);
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    return Math.max(others.scratchBytes(limits), CodesProduct.scratchBytes(limits, isa));
  }

  @Override
  public void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, Scratch scratch) {
    Product product = product(w.format());
    if (product == null || !product.fits(w, x, tokens)) {
      others.matmul(w, x, tokens, out, from, to, scratch);
      return;
    }
    Shapes.checkMatmul(w, x, out, from, to);
    product.multiply(w, x, tokens, out, from, to, scratch.segment());
  }

  @Override
  public void quantise(Matrix x, Matrix out, int from, int to) {
    if (!(out.format() instanceof Q8Activations) || from >= to) {
      others.quantise(x, out, from, to);
      return;
    }
    Shapes.checkF32(x);
    Shapes.checkSame(x, out, from, to);
    long blocks = out.rowBytes() / Q8Activations.FORMAT.blockBytes();
    quantiser.call(
        x.data().asSlice(x.rowOffset(from), (to - from) * x.rowBytes()),
        out.data().asSlice(out.rowOffset(from), (to - from) * out.rowBytes()),
        MemorySegment.NULL,
        (to - from) * blocks,
        0,
        0,
        0);
  }
}
