package dev.knapsack.kernel;

import static dev.knapsack.kernel.Floats.get;
import static dev.knapsack.kernel.Floats.put;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.function.DoubleUnaryOperator;
import org.jspecify.annotations.Nullable;

/** Operations on rows by their definition. */
final class ScalarRows implements RowOperations {
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
      for (int g = 0; g < x.columns(); g += groupSize) {
        double squares = 0;
        for (int i = g; i < g + groupSize; i++) {
          double v = get(x.data(), x.rowOffset(t), i);
          squares += v * v;
        }
        double scale = 1 / Math.sqrt(squares / groupSize + epsilon);
        for (int i = g; i < g + groupSize; i++) {
          double w = weight == null ? 1 : get(weight, 0, i - g);
          double y = get(x.data(), x.rowOffset(t), i) * scale * w;
          put(out.data(), out.rowOffset(t), i, (float) y);
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
      double sum = 0;
      for (int i = 0; i < columns; i++) {
        sum += get(x.data(), x.rowOffset(t), i);
      }
      double mean = sum / columns;
      double squares = 0;
      for (int i = 0; i < columns; i++) {
        double d = get(x.data(), x.rowOffset(t), i) - mean;
        squares += d * d;
      }
      double scale = 1 / Math.sqrt(squares / columns + epsilon);
      for (int i = 0; i < columns; i++) {
        double y = (get(x.data(), x.rowOffset(t), i) - mean) * scale * get(weight, 0, i);
        put(out.data(), out.rowOffset(t), i, (float) (bias == null ? y : y + get(bias, 0, i)));
      }
    }
  }

  @Override
  public void add(Matrix x, Matrix y, float scale, int from, int to) {
    Shapes.checkSame(x, y, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        double sum =
            get(x.data(), x.rowOffset(t), i) + (double) scale * get(y.data(), y.rowOffset(t), i);
        put(x.data(), x.rowOffset(t), i, (float) sum);
      }
    }
  }

  @Override
  public void addBias(Matrix x, MemorySegment bias, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        put(x.data(), x.rowOffset(t), i, get(x.data(), x.rowOffset(t), i) + get(bias, 0, i));
      }
    }
  }

  @Override
  public void mix(Matrix x, Matrix y, MemorySegment share, Matrix out, int from, int to) {
    Shapes.checkSame(x, y, from, to);
    Shapes.checkSame(x, out, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        double step = (double) get(share, 0, i) * get(y.data(), y.rowOffset(t), i);
        put(out.data(), out.rowOffset(t), i, (float) (get(x.data(), x.rowOffset(t), i) + step));
      }
    }
  }

  @Override
  public void scale(Matrix x, float scale, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        put(x.data(), x.rowOffset(t), i, get(x.data(), x.rowOffset(t), i) * scale);
      }
    }
  }

  @Override
  public void softCap(Matrix x, float cap, int from, int to) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        double y = cap * Math.tanh((double) get(x.data(), x.rowOffset(t), i) / cap);
        put(x.data(), x.rowOffset(t), i, (float) y);
      }
    }
  }

  @Override
  public void activate(Activation activation, Matrix x, int from, int to) {
    each(x, from, to, number -> ScalarGate.ungated(activation, number));
  }

  @Override
  public void xielu(Xielu curve, Matrix x, int from, int to) {
    each(x, from, to, curve::at);
  }

  private static void each(Matrix x, int from, int to, DoubleUnaryOperator function) {
    Shapes.checkRows(x, from, to);
    for (int t = from; t < to; t++) {
      for (int i = 0; i < x.columns(); i++) {
        double y = function.applyAsDouble(get(x.data(), x.rowOffset(t), i));
        put(x.data(), x.rowOffset(t), i, (float) y);
      }
    }
  }

  @Override
  public void rope(Matrix x, int headSize, Rope rope, int[] positions, int from, int to) {
    Shapes.checkRope(x, headSize, rope, positions, from, to);
    boolean adjacent = rope.pairs() == Rope.Pairs.ADJACENT;
    int half = rope.dimensions() / 2;
    for (int t = from; t < to; t++) {
      long row = x.rowOffset(t);
      for (int i = 0; i < half; i++) {
        double angle = positions[t] * rope.frequencies()[i];
        double cos = Math.cos(angle) * rope.magnitude();
        double sin = Math.sin(angle) * rope.magnitude();
        for (int head = 0; head < x.columns(); head += headSize) {
          int first = head + (adjacent ? 2 * i : i);
          int second = adjacent ? first + 1 : first + half;
          double a = get(x.data(), row, first);
          double b = get(x.data(), row, second);
          put(x.data(), row, first, (float) (a * cos - b * sin));
          put(x.data(), row, second, (float) (a * sin + b * cos));
        }
      }
    }
  }

  @Override
  public void softmax(MemorySegment x, long offset, int length, float sink) {
    double[] scores = new double[length];
    double max = Double.isNaN(sink) ? Double.NEGATIVE_INFINITY : sink;
    for (int i = 0; i < length; i++) {
      scores[i] = get(x, offset, i);
      max = Math.max(max, scores[i]);
    }
    double sum = Double.isNaN(sink) ? 0 : Math.exp(sink - max);
    for (int i = 0; i < length; i++) {
      scores[i] = Math.exp(scores[i] - max);
      sum += scores[i];
    }
    for (int i = 0; i < length; i++) {
      put(x, offset, i, (float) (scores[i] / sum));
    }
  }
}
