package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.RowOperations;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.kernel.Xielu;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Operations on rows of a multiple of 8 numbers in machine code; the rest is another's. */
final class X86Rows implements RowOperations {
  /** Numbers of a vector. */
  static final int LANES = 8;

  private final RowOperations others;
  private final Code add;
  private final Code rmsNorm;
  private final Code weightedRmsNorm;
  private final Code layerNorm;
  private final Code layerNormWithBias;
  private final Map<Activation, Code> activations = new EnumMap<>(Activation.class);

  X86Rows(RowOperations others, Code.Loader loader) {
    this.others = others;
    add = loader.load(RowOperationCode.add());
    rmsNorm = loader.load(RowOperationCode.norm(false, false, false));
    weightedRmsNorm = loader.load(RowOperationCode.norm(false, true, false));
    layerNorm = loader.load(RowOperationCode.norm(true, true, false));
    layerNormWithBias = loader.load(RowOperationCode.norm(true, true, true));
    ActivationCode.ALL.forEach(activation ->
        activations.put(activation, loader.load(ActivationCode.code(activation, false))));
  }

  /** The numbers of rows {@code [from, to)}. */
  static MemorySegment rows(Matrix x, int from, int to) {
    return x.data().asSlice(x.rowOffset(from), (to - from) * x.rowBytes());
  }

  /** Eights of rows {@code [from, to)}. */
  static long vectors(Matrix x, int from, int to) {
    return (to - from) * (long) x.columns() / LANES;
  }

  private static MemorySegment numbers(MemorySegment vector, int count) {
    return vector.asSlice(0, (long) count * Float.BYTES);
  }

  /** A number as an argument. */
  private static long bits(float number) {
    return Integer.toUnsignedLong(Float.floatToRawIntBits(number));
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
    if (groupSize % LANES != 0 || from >= to) {
      others.rmsNorm(x, weight, groupSize, epsilon, out, from, to);
      return;
    }
    Shapes.checkGroups(x, groupSize);
    norm(
        weight == null ? rmsNorm : weightedRmsNorm,
        x,
        weight,
        null,
        groupSize,
        epsilon,
        out,
        from,
        to);
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
    if (x.columns() % LANES != 0 || from >= to) {
      others.layerNorm(x, weight, bias, epsilon, out, from, to);
      return;
    }
    Code code = bias == null ? layerNorm : layerNormWithBias;
    norm(code, x, weight, bias, x.columns(), epsilon, out, from, to);
  }

  private static void norm(
      Code code,
      Matrix x,
      @Nullable MemorySegment weight,
      @Nullable MemorySegment bias,
      int size,
      float epsilon,
      Matrix out,
      int from,
      int to) {
    Shapes.checkSame(x, out, from, to);
    MemorySegment rows = rows(out, from, to);
    if (!out.equals(x)) {
      rows.copyFrom(rows(x, from, to));
    }
    code.call(
        rows,
        weight == null ? MemorySegment.NULL : numbers(weight, size),
        bias == null ? MemorySegment.NULL : numbers(bias, size),
        (to - from) * (long) (x.columns() / size),
        size / LANES,
        bits(epsilon),
        bits(size));
  }

  @Override
  public void add(Matrix x, Matrix y, float scale, int from, int to) {
    if (x.columns() % LANES != 0 || from >= to) {
      others.add(x, y, scale, from, to);
      return;
    }
    Shapes.checkSame(x, y, from, to);
    MemorySegment rows = rows(y, from, to);
    add.call(rows(x, from, to), rows, MemorySegment.NULL, 1, vectors(x, from, to), bits(scale), 0);
  }

  @Override
  public void addBias(Matrix x, MemorySegment bias, int from, int to) {
    if (x.columns() % LANES != 0 || from >= to) {
      others.addBias(x, bias, from, to);
      return;
    }
    Shapes.checkRows(x, from, to);
    add.call(
        rows(x, from, to),
        numbers(bias, x.columns()),
        MemorySegment.NULL,
        to - from,
        x.columns() / LANES,
        bits(1),
        0);
  }

  @Override
  public void mix(Matrix x, Matrix y, MemorySegment share, Matrix out, int from, int to) {
    others.mix(x, y, share, out, from, to);
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
  public void activate(Activation activation, Matrix x, int from, int to) {
    Code code = activations.get(activation);
    if (code == null || x.columns() % LANES != 0 || from >= to) {
      others.activate(activation, x, from, to);
      return;
    }
    Shapes.checkRows(x, from, to);
    MemorySegment rows = rows(x, from, to);
    code.call(rows, MemorySegment.NULL, rows, vectors(x, from, to), 0, 0, 0);
  }

  @Override
  public void xielu(Xielu curve, Matrix x, int from, int to) {
    others.xielu(curve, x, from, to);
  }

  @Override
  public void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to) {
    others.rope(x, headSize, rope, positions, from, to);
  }

  @Override
  public void softmax(MemorySegment x, long offset, int length, float sink) {
    others.softmax(x, offset, length, sink);
  }
}
