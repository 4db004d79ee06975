package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Rope;
import dev.knapsack.tensor.ChannelOrder;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
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
    return attention == null || attention.keysOf() != null
        ? 0
        : ChannelOrder.bytes(attention.keyColumns() + attention.valueColumns());
  }

  /** The order of a layer's keys, and of the queries that meet them. */
  ChannelOrder keys(Attention.Weights weights, Compute compute) {
    Attention layer = weights.spec();
    int l = weights.cachedIn();
    ChannelOrder order = keys[l];
    if (order == null) {
      double[] squares = squares(weights, Objects.requireNonNull(weights.key()), compute);
      norm(squares, weights.keyNorm());
      if (layer.rope() != null) {
        share(squares, layer.keySize(), layer.rope());
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
      double[] squares = squares(weights, Objects.requireNonNull(weights.value()), compute);
      long at = offsets[l] + ChannelOrder.bytes(layer.keyColumns());
      MemorySegment place = data.asSlice(at, ChannelOrder.bytes(squares.length));
      order = ChannelOrder.largestFirst(squares, layer.valueSize(), place);
      values[l] = order;
    }
    return order;
  }

  /** Mean squares of what a product gives for normed inputs. */
  private static double[] squares(Attention.Weights weights, Linear product, Compute compute) {
    Matrix matrix = product.matrix();
    Matrix norm = weights.norms().before();
    float @Nullable [] inputs = norm == null ? null : floats(norm.data(), norm.columns());
    int rows = matrix.rows();
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
                for (int i = 0; i < numbers.length; i++) {
                  double number = inputs == null ? numbers[i] : (double) numbers[i] * inputs[i];
                  sum += number * number;
                }
                squares[row] = sum;
              }
            });
    if (product.bias() != null) {
      float[] numbers = floats(product.bias(), rows);
      for (int i = 0; i < rows; i++) {
        squares[i] += (double) numbers[i] * numbers[i];
      }
    }
    return squares;
  }

  /** Heads are normed to one size, and their channels multiplied. */
  private static void norm(double[] squares, @Nullable Matrix weight) {
    if (weight == null) {
      return;
    }
    float[] factors = floats(weight.data(), weight.columns());
    for (int head = 0; head < squares.length; head += factors.length) {
      for (int i = 0; i < factors.length; i++) {
        squares[head + i] *= (double) factors[i] * factors[i];
      }
    }
  }

  private static void share(double[] squares, int headSize, Rope rope) {
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

  private static float[] floats(MemorySegment numbers, int count) {
    return numbers.asSlice(0, Float.BYTES * (long) count).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }
}
