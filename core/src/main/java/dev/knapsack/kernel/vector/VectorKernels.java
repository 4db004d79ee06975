package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Attention;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.PartialAttention;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.ScalarKernels;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The provider on the JDK's Vector API: weights are read in their file's own layout and multiplied
 * in float32, with 8-bit activations too, as the API has no 8-bit products.
 *
 * <p>What is not worth a vector is left to the definition, {@link ScalarKernels}.
 */
public final class VectorKernels implements Kernels {
  private final ScalarKernels scalar = new ScalarKernels();
  private final RowKernels rows = new RowKernels();
  private final Product product = new Product(rows);
  private final Attention attention = new Attention(new AttentionLoops(rows));

  /** Bits in the vectors that this machine's processor works with; 64 or less is not worth it. */
  public static int vectorBits() {
    return Lanes.F.vectorBitSize();
  }

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public Compute.Precision precision() {
    return Compute.Precision.FLOAT;
  }

  @Override
  public int rowTile() {
    return 4 * Tile.ROWS;
  }

  /** True: the compiler checks an array's bounds once where it checks native memory's each time. */
  @Override
  public boolean heapScratch() {
    return true;
  }

  @Override
  public long scratchBytes(KernelLimits limits) {
    return Math.max(Product.scratchBytes(limits), Attention.scratchBytes(limits));
  }

  @Override
  public void matmul(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch) {
    Shapes.checkMatmul(w, x, out, from, to);
    product.multiply(w, x, tokens, out, from, to, scratch);
  }

  @Override
  public double multiplyAddOnes(Compute.Precision precision) {
    return Ones.multiplyAdd();
  }

  @Override
  public void quantise(Matrix x, Matrix out, int from, int to) {
    scalar.quantise(x, out, from, to);
  }

  @Override
  public void encode(Matrix x, Matrix out, int from, int to) {
    scalar.encode(x, out, from, to);
  }

  @Override
  public void decodeRow(Matrix w, int row, MemorySegment target, long targetOffset) {
    scalar.decodeRow(w, row, target, targetOffset);
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
    Shapes.checkSame(x, out, from, to);
    Shapes.checkGroups(x, groupSize);
    for (int t = from; t < to; t++) {
      for (int c = 0; c < x.columns(); c += groupSize) {
        long at = x.rowOffset(t) + 4L * c;
        long outAt = out.rowOffset(t) + 4L * c;
        double mean = (double) Elementwise.sumOfSquares(x.data(), at, groupSize) / groupSize;
        float factor = (float) (1 / Math.sqrt(mean + epsilon));
        if (weight != null) {
          Elementwise.multiply(x.data(), at, weight, factor, out.data(), outAt, groupSize);
        } else {
          MemorySegment.copy(x.data(), at, out.data(), outAt, 4L * groupSize);
          Elementwise.scale(out.data(), outAt, groupSize, factor);
        }
      }
    }
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
    scalar.layerNorm(x, weight, bias, epsilon, out, from, to);
  }

  @Override
  public void add(Matrix x, Matrix y, float scale, int from, int to) {
    Shapes.checkSame(x, y, from, to);
    for (int t = from; t < to; t++) {
      Elementwise.add(x.data(), x.rowOffset(t), y.data(), y.rowOffset(t), x.columns(), scale);
    }
  }

  @Override
  public void addBias(Matrix x, MemorySegment bias, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      Elementwise.add(x.data(), x.rowOffset(t), bias, 0, x.columns(), 1);
    }
  }

  @Override
  public void scale(Matrix x, float scale, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      Elementwise.scale(x.data(), x.rowOffset(t), x.columns(), scale);
    }
  }

  @Override
  public void softCap(Matrix x, float cap, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      Elementwise.softCap(x.data(), x.rowOffset(t), x.columns(), cap);
    }
  }

  @Override
  public void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to) {
    Shapes.checkRope(x, headSize, rope, positions, from, to);
    for (int t = from; t < to; t++) {
      Rotation rotation = new Rotation(rope, positions[t]);
      for (int head = 0; head < x.columns(); head += headSize) {
        rotation.apply(x.data(), x.rowOffset(t) + 4L * head);
      }
    }
  }

  @Override
  public void gatedActivation(
      Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    int whole = Lanes.whole(gate.columns());
    for (int t = from; t < to; t++) {
      long g = gate.rowOffset(t);
      long u = up.rowOffset(t);
      long o = out.rowOffset(t);
      Elementwise.gated(activation, gate.data(), g, up.data(), u, out.data(), o, whole);
      if (whole < gate.columns()) {
        scalar.gatedActivation(
            activation, tail(gate, t, whole), tail(up, t, whole), tail(out, t, whole), 0, 1);
      }
    }
  }

  private static Matrix tail(Matrix x, int row, int from) {
    MemorySegment data = x.data().asSlice(x.rowOffset(row) + 4L * from);
    return new Matrix(x.format(), 1, x.columns() - from, data);
  }

  @Override
  public void softmax(MemorySegment x, long offset, int length, float softCap, float sink) {
    if (softCap != 0) {
      Elementwise.softCap(x, offset, length, softCap);
    }
    float max = Elementwise.max(x, offset, length);
    if (!Float.isNaN(sink)) {
      max = Math.max(max, sink);
    }
    float sum = Elementwise.exponentials(x, offset, length, max);
    if (!Float.isNaN(sink)) {
      sum += (float) Math.exp(sink - max);
    }
    Elementwise.scale(x, offset, length, 1 / sum);
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
