package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.RowOperations;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.kernel.Xielu;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Operations on rows, a vector of numbers at a time. */
final class VectorRows implements RowOperations {
  private final RowOperations scalar;

  /**
   * @param scalar for activations of numbers after a row's last whole vector
   */
  VectorRows(RowOperations scalar) {
    this.scalar = scalar;
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
    Shapes.checkSame(x, out, from, to);
    int columns = x.columns();
    for (int t = from; t < to; t++) {
      long at = x.rowOffset(t);
      long outAt = out.rowOffset(t);
      float mean = Elementwise.sum(x.data(), at, columns) / columns;
      double variance = (double) Elementwise.sumOfSquares(x.data(), at, columns, mean) / columns;
      float factor = (float) (1 / Math.sqrt(variance + epsilon));
      Elementwise.centre(x.data(), at, mean, weight, factor, out.data(), outAt, columns);
      if (bias != null) {
        Elementwise.add(out.data(), outAt, bias, 0, columns, 1);
      }
    }
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
  public void mix(Matrix x, Matrix y, MemorySegment share, Matrix out, int from, int to) {
    Shapes.checkSame(x, y, from, to);
    Shapes.checkSame(x, out, from, to);
    for (int t = from; t < to; t++) {
      long at = x.rowOffset(t);
      Elementwise.mix(x.data(), y.data(), share, out.data(), at, x.columns());
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
  public void activate(Activation activation, Matrix x, int from, int to) {
    Shapes.checkRows(x, from, to);
    int whole = Lanes.whole(x.columns());
    for (int t = from; t < to; t++) {
      Elementwise.activate(activation, x.data(), x.rowOffset(t), whole);
      if (whole < x.columns()) {
        scalar.activate(activation, Lanes.tail(x, t, whole), 0, 1);
      }
    }
  }

  @Override
  public void xielu(Xielu curve, Matrix x, int from, int to) {
    Shapes.checkRows(x, from, to);
    int whole = Lanes.whole(x.columns());
    for (int t = from; t < to; t++) {
      Elementwise.xielu(curve, x.data(), x.rowOffset(t), whole);
      if (whole < x.columns()) {
        scalar.xielu(curve, Lanes.tail(x, t, whole), 0, 1);
      }
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
  public void softmax(MemorySegment x, long offset, int length, float sink) {
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
}
