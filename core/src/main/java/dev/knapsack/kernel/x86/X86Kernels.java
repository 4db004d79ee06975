package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Attention;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.PartialAttention;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import dev.knapsack.tensor.Q8Activations;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The provider in machine code: matrix products, with 8-bit activations where weights are in a
 * block format, and attention.
 *
 * <p>All else is left to another provider, whose scratch memory it shares.
 */
public final class X86Kernels implements Kernels {
  private final Kernels others;
  private final Isa isa;
  private final Code.Loader loader;
  private final Code quantiser;
  private final Code silu;
  private final Attention attention;
  private final Map<Format, RowCode> formats = new HashMap<>();

  /** What was generated when a format was first met: most programs meet one or two. */
  private final Map<Format, Product> products = new ConcurrentHashMap<>();

  private final Map<Compute.Precision, OnesCode> ones = new ConcurrentHashMap<>();

  X86Kernels(Kernels others, Isa isa, Code.Loader loader) {
    this.others = others;
    this.isa = isa;
    this.loader = loader;
    quantiser = loader.load(Quantiser.code());
    silu = loader.load(SiluCode.code());
    attention = new Attention(new AttentionSteps(loader));
    for (Format format : Formats.weights()) {
      RowCode row = RowCode.of(format.name());
      if (row != null) {
        formats.put(format, row);
      }
    }
  }

  private @Nullable Product product(Format format) {
    Product known = products.get(format);
    if (known != null) {
      return known;
    }
    if (FloatTile.has(format.name())) {
      return products.computeIfAbsent(format, f -> new FloatProduct(f, isa, loader));
    }
    RowCode row = formats.get(format);
    return row == null
        ? null
        : products.computeIfAbsent(format, f -> new CodesProduct(row, isa, loader));
  }

  /**
   * Generates the code.
   *
   * @param others does what is not generated
   * @throws UnsupportedOperationException if this processor or system cannot, with the reason
   */
  public static X86Kernels open(Kernels others) {
    if (!System.getProperty("os.arch", "").equals("amd64")) {
      throw new UnsupportedOperationException("the processor is not an x86-64");
    }
    return new X86Kernels(others, Isa.of(Cpu.detect()), NativeCode::new);
  }

  @Override
  public String name() {
    return "x86";
  }

  /** With the instructions that the code is made of: {@code x86 (AVX2)}. */
  @Override
  public String toString() {
    return "%s (%s)".formatted(name(), isa);
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
  public boolean heapScratch() {
    return true;
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    long own = Math.max(Attention.scratchBytes(limits), CodesProduct.scratchBytes(limits, isa));
    return Math.max(others.scratchBytes(limits), own);
  }

  @Override
  public void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch) {
    Product product = product(w.format());
    if (product == null || !product.fits(w, x, tokens)) {
      others.matmul(w, x, tokens, out, from, to, scratch);
      return;
    }
    Shapes.checkMatmul(w, x, out, from, to);
    product.multiply(w, x, tokens, out, from, to, scratch);
  }

  @Override
  public double multiplyAddOnes(Compute.Precision precision) {
    return ones.computeIfAbsent(precision, p -> new OnesCode(isa, p, loader)).multiplyAdd();
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

  @Override
  public void encode(Matrix x, Matrix out, int from, int to) {
    others.encode(x, out, from, to);
  }

  @Override
  public void decodeRow(Matrix w, int row, MemorySegment target, long targetOffset) {
    others.decodeRow(w, row, target, targetOffset);
  }

  @Override
  public void rmsNorm(
      Matrix x,
      @Nullable MemorySegment weight,
      int groupSize,
      float epsilon,
      Matrix out,
      int from,
      int to) {
    others.rmsNorm(x, weight, groupSize, epsilon, out, from, to);
  }

  @Override
  public void layerNorm(
      Matrix x,
      MemorySegment weight,
      @Nullable MemorySegment bias,
      float epsilon,
      Matrix out,
      int from,
      int to) {
    others.layerNorm(x, weight, bias, epsilon, out, from, to);
  }

  @Override
  public void add(Matrix x, Matrix y, float scale, int from, int to) {
    others.add(x, y, scale, from, to);
  }

  @Override
  public void addBias(Matrix x, MemorySegment bias, int from, int to) {
    others.addBias(x, bias, from, to);
  }

  @Override
  public void scale(Matrix x, float scale, int from, int to) {
    others.scale(x, scale, from, to);
  }

  @Override
  public void softCap(Matrix x, float cap, int from, int to) {
    others.softCap(x, cap, from, to);
  }

  @Override
  public void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to) {
    others.rope(x, headSize, rope, positions, from, to);
  }

  @Override
  public void gatedActivation(
      Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    if (activation != Activation.SILU || gate.columns() % 8 != 0 || from >= to) {
      others.gatedActivation(activation, gate, up, out, from, to);
      return;
    }
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    long at = gate.rowOffset(from);
    long bytes = (to - from) * gate.rowBytes();
    silu.call(
        gate.data().asSlice(at, bytes),
        up.data().asSlice(at, bytes),
        out.data().asSlice(at, bytes),
        bytes / Float.BYTES / 8,
        0,
        0,
        0);
  }

  @Override
  public void softmax(MemorySegment x, long offset, int length, float softCap, float sink) {
    others.softmax(x, offset, length, softCap, sink);
  }

  @Override
  public void attention(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch) {
    Shapes.checkAttention(shape, q, spans, kvHead, out, from, to);
    attention.attend(shape, q, firstPosition, spans, kvHead, out, from, to, scratch);
  }

  @Override
  public void attentionPart(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      PartialAttention part,
      int from,
      int to,
      MemorySegment scratch) {
    Shapes.checkPart(shape, q, spans, kvHead, part, from, to);
    attention.attendPart(shape, q, firstPosition, spans, kvHead, part, from, to, scratch);
  }

  @Override
  public void attentionWeights(
      AttentionShape shape,
      Matrix q,
      int firstPosition,
      KvSpan[] spans,
      int kvHead,
      Matrix out,
      int from,
      int to,
      MemorySegment scratch) {
    Shapes.checkWeights(shape, q, spans, kvHead, out, from, to);
    attention.scores(shape, q, firstPosition, spans, kvHead, out, from, to, scratch);
    Attention.softmaxRows(this, shape, kvHead, out);
  }
}
