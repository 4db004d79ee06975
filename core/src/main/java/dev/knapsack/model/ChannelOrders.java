package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Rope;
import dev.knapsack.tensor.ChannelOrder;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The orders in which each layer's keys and values are cached, where they are reordered: found when
 * a layer's weights are first there, whether they stay or are streamed.
 *
 * <p>A channel's size is its root mean square over inputs that are normed and otherwise know
 * nothing of each other: the norm of its row of W_K or W_V, with the norms before and after it and
 * the bias. The two channels of a rotary pair are of the same size, as they turn into one another.
 * A layer that attends to what an earlier one has cached has that one's orders, which are there.
 */
final class ChannelOrders {
  private static final int ROWS_PER_PART = 16;

  private final MemorySegment data;
  private final long[] offsets;
  private final @Nullable ChannelOrder[] keys;
  private final @Nullable ChannelOrder[] values;

  /**
   * @param data {@link #bytes} of memory
   */
  ChannelOrders(ModelSpec spec, MemorySegment data) {
    int layers = spec.layers().size();
    this.data = data;
    this.offsets = new long[layers];
    this.keys = new ChannelOrder[layers];
    this.values = new ChannelOrder[layers];
    long at = 0;
    for (int l = 0; l < layers; l++) {
      offsets[l] = at;
      at += bytes(spec.layers().get(l));
    }
  }

  /** Bytes of all orders; 0 if nothing is reordered. */
  static long bytes(ModelSpec spec, KvLayout cache) {
    return cache.transform() == KvTransform.REORDERED
        ? spec.layers().stream().mapToLong(ChannelOrders::bytes).sum()
        : 0;
  }

  private static long bytes(LayerSpec layer) {
    Attention attention = layer.attention();
    return attention == null || !attention.hasKeys()
        ? 0
        : ChannelOrder.bytes(attention.keyColumns() + attention.valueColumns());
  }

  /** The order of a layer's keys, and of the queries that meet them. */
  ChannelOrder keys(Attention.Weights weights, Compute compute) {
    Attention layer = weights.spec();
    int l = weights.cachedIn();
    ChannelOrder order = keys[l];
    if (order == null) {
      double[] squares = squares(weights, weights.key(), layer.keyColumns(), compute);
      if (layer.headNorms() == HeadNorms.EACH_ROTATED) {
        share(squares, layer);
        norm(squares, weights.keyNorm());
      } else {
        norm(squares, weights.keyNorm());
        share(squares, layer);
      }
      MemorySegment place = data.asSlice(offsets[l], ChannelOrder.bytes(squares.length));
      order = ChannelOrder.largestFirst(squares, layer.keySize(), place);
      keys[l] = order;
    }
    return order;
  }

  /** The order of a layer's values, and of what attention makes of them. */
  ChannelOrder values(Attention.Weights weights, Compute compute) {
    Attention layer = weights.spec();
    int l = weights.cachedIn();
    ChannelOrder order = values[l];
    if (order == null) {
      double[] squares = squares(weights, weights.value(), layer.valueColumns(), compute);
      long at = offsets[l] + ChannelOrder.bytes(layer.keyColumns());
      MemorySegment place = data.asSlice(at, ChannelOrder.bytes(squares.length));
      order = ChannelOrder.largestFirst(squares, layer.valueSize(), place);
      values[l] = order;
    }
    return order;
  }

  /**
   * Mean squares of what a product gives for normed inputs.
   *
   * @param product null where numbers are looked up, of which none is known to be larger
   * @param columns numbers that it gives
   */
  private static double[] squares(
      Attention.Weights weights, @Nullable Linear product, int columns, Compute compute) {
    if (product == null) {
      double[] even = new double[columns];
      Arrays.fill(even, 1);
      return even;
    }
    Matrix matrix = product.matrix();
    Norm norm = weights.norms().before();
    float @Nullable [] factors = norm == null ? null : floats(norm.factors());
    float @Nullable [] shift = norm == null || norm.bias() == null ? null : floats(norm.bias());
    int rows = matrix.rows();
    float @Nullable [] biases = product.bias() == null ? null : floats(product.bias(), rows);
    double[] squares = new double[rows];
    compute
        .team()
        .run(
            Math.ceilDiv(rows, ROWS_PER_PART),
            (part, parts, worker) -> {
              float[] numbers = new float[matrix.columns()];
              MemorySegment decoded = MemorySegment.ofArray(numbers);
              int end = Math.min(rows, (part + 1) * ROWS_PER_PART);
              for (int row = part * ROWS_PER_PART; row < end; row++) {
                matrix.decodeRow(row, decoded, 0);
                double sum = 0;
                double constant = biases == null ? 0 : biases[row];
                for (int i = 0; i < numbers.length; i++) {
                  double number = factors == null ? numbers[i] : (double) numbers[i] * factors[i];
                  sum += number * number;
                  constant += shift == null ? 0 : (double) numbers[i] * shift[i];
                }
                squares[row] = sum + constant * constant;
              }
            });
    return squares;
  }

  /** Heads are normed to one size, each or all together, and their channels multiplied. */
  private static void norm(double[] squares, @Nullable Norm norm) {
    if (norm == null) {
      return;
    }
    float[] factors = floats(norm.factors());
    for (int group = 0; group < squares.length; group += factors.length) {
      for (int i = 0; i < factors.length; i++) {
        squares[group + i] *= (double) factors[i] * factors[i];
      }
    }
  }

  private static void share(double[] squares, Attention layer) {
    Rope rope = layer.rope();
    if (rope == null) {
      return;
    }
    int headSize = layer.keySize();
    for (int head = 0; head < squares.length; head += headSize) {
      for (int i = 0; i < headSize; i++) {
        int partner = rope.partner(i);
        if (i < partner) {
          double mean = (squares[head + i] + squares[head + partner]) / 2;
          squares[head + i] = mean;
          squares[head + partner] = mean;
        }
      }
    }
  }

  private static float[] floats(Matrix factors) {
    return floats(factors.data(), factors.rows() * factors.columns());
  }

  private static float[] floats(MemorySegment numbers, int count) {
    return numbers.asSlice(0, Float.BYTES * (long) count).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }
}
