package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * Computes {@link AltUp}: the first copy is the residual stream of all other blocks, the others lie
 * beside it.
 */
final class AltUpBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** The least mean square by which a projected copy is brought to the length of the first. */
  private static final double LEAST_SQUARE = 1e-5;

  /** Nanoseconds of one core, roughly, for a number of a copy in each of these parts. */
  private static final double PASS = 4;

  private final Blocks blocks;
  private final Compute compute;
  private final PerLayerBlock perLayer;

  AltUpBlock(Blocks blocks, PerLayerBlock perLayer) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.perLayer = perLayer;
  }

  void apply(AltUp.Weights weights, Matrix hidden) {
    switch (weights) {
      case AltUp.Ends w when w.spec().part() == AltUp.Part.SPREAD -> spread(w, hidden);
      case AltUp.Ends w -> merge(w, hidden);
      case AltUp.Update w when w.spec().part() == AltUp.Part.PREDICT -> predict(w, hidden);
      case AltUp.Update w -> correct(w, hidden);
    }
  }

  private Matrix copies(AltUp spec, Matrix hidden) {
    return blocks.matrix(Slot.COPIES, hidden.rows(), spec.others());
  }

  /** Copies are projections of the first, as long as it. */
  private void spread(AltUp.Ends weights, Matrix hidden) {
    AltUp spec = weights.spec();
    Matrix copies = copies(spec, hidden);
    Matrix projected = blocks.matrix(Slot.DELTA, hidden.rows(), spec.width());
    for (int copy = 1; copy < spec.copies(); copy++) {
      compute.matmul(weights.projection(copy), hidden, projected);
      int at = (copy - 1) * spec.width();
      rows(
          hidden,
          row -> {
            float[] numbers = row.of(projected);
            scale(numbers, factor(row.of(hidden), numbers));
            row.put(numbers, copies, at);
          });
    }
  }

  /** The mean of the first and of the others, projected back and made as long as it. */
  private void merge(AltUp.Ends weights, Matrix hidden) {
    AltUp spec = weights.spec();
    Matrix copies = copies(spec, hidden);
    Matrix own = blocks.matrix(Slot.NORMED, hidden.rows(), spec.width());
    Matrix projected = blocks.matrix(Slot.DELTA, hidden.rows(), spec.width());
    Matrix sum = blocks.matrix(Slot.PREDICTED, hidden.rows(), spec.width());
    sum.data().copyFrom(hidden.data());
    for (int copy = 1; copy < spec.copies(); copy++) {
      int at = (copy - 1) * spec.width();
      rows(hidden, row -> row.put(row.of(copies, at, spec.width()), own, 0));
      compute.matmul(weights.projection(copy), own, projected);
      rows(
          hidden,
          row -> {
            float[] numbers = row.of(projected);
            scale(numbers, factor(row.of(hidden), numbers));
            float[] all = row.of(sum);
            addTo(all, 0, numbers, 1);
            row.put(all, sum, 0);
          });
    }
    hidden.data().copyFrom(sum.data());
    compute.scale(hidden, 1f / spec.copies());
  }

  /** Each copy becomes what it is and a mixture of all, which the router says of the first. */
  private void predict(AltUp.Update weights, Matrix hidden) {
    AltUp spec = weights.spec();
    int width = spec.width();
    Matrix copies = copies(spec, hidden);
    Matrix predicted = blocks.matrix(Slot.PREDICTED, hidden.rows(), width);
    Matrix mixture = coefficients(weights, hidden, spec.copies() * spec.copies());
    rows(
        hidden,
        row -> {
          float[] first = row.of(hidden);
          float[] others = row.of(copies);
          float[] coefficients = row.of(mixture);
          float[] next = first.clone();
          float[] nextOthers = others.clone();
          for (int copy = 0; copy < spec.copies(); copy++) {
            float[] to = copy == 0 ? next : nextOthers;
            int at = Math.max(0, copy - 1) * width;
            int line = copy * spec.copies();
            addTo(to, at, first, coefficients[line]);
            for (int from = 1; from < spec.copies(); from++) {
              addTo(to, at, others, (from - 1) * width, width, coefficients[line + from]);
            }
          }
          row.put(next, hidden, 0);
          row.put(next, predicted, 0);
          row.put(nextOthers, copies, 0);
        });
  }

  /** Each copy goes as far as the first has gone beyond its prediction, or as the router says. */
  private void correct(AltUp.Update weights, Matrix hidden) {
    AltUp spec = weights.spec();
    int width = spec.width();
    Matrix copies = copies(spec, hidden);
    Matrix predicted = blocks.matrix(Slot.PREDICTED, hidden.rows(), width);
    Matrix factors = coefficients(weights, hidden, spec.copies());
    rows(
        hidden,
        row -> {
          float[] first = row.of(predicted);
          float[] others = row.of(copies);
          float[] coefficients = row.of(factors);
          float[] gone = row.of(hidden);
          addTo(gone, 0, first, -1);
          addTo(first, 0, gone, 1 + coefficients[0]);
          for (int copy = 1; copy < spec.copies(); copy++) {
            addTo(others, (copy - 1) * width, gone, 1 + coefficients[copy]);
          }
          row.put(first, hidden, 0);
          row.put(others, copies, 0);
        });
    if (weights.input() != null) {
      addInput(weights, weights.input(), hidden);
    }
  }

  private void addInput(AltUp.Update weights, PerLayerInput.Weights input, Matrix hidden) {
    AltUp spec = weights.spec();
    int width = spec.width();
    Matrix scaled = blocks.matrix(Slot.NORMED, hidden.rows(), width);
    float[] scale =
        Objects.requireNonNull(weights.scale()).data().asSlice(0, 4L * width).toArray(FLOAT);
    rows(
        hidden,
        row -> {
          float[] numbers = row.of(hidden);
          for (int i = 0; i < numbers.length; i++) {
            numbers[i] *= scale[i];
          }
          row.put(numbers, scaled, 0);
        });
    Matrix delta = blocks.matrix(Slot.DELTA, hidden.rows(), width);
    perLayer.apply(input, scaled, delta);
    blocks.norm(delta, input.norms().after(), delta);
    Matrix copies = copies(spec, hidden);
    rows(
        hidden,
        row -> {
          float[] added = row.of(delta);
          float[] others = row.of(copies);
          for (int at = 0; at < others.length; at += width) {
            addTo(others, at, added, 1);
          }
          row.put(others, copies, 0);
        });
  }

  /** The router's answer to the first copy, by a matrix of coefficients. */
  private Matrix coefficients(AltUp.Update weights, Matrix hidden, int count) {
    AltUp spec = weights.spec();
    Matrix normed = blocks.matrix(Slot.NORMED, hidden.rows(), spec.width());
    blocks.norm(hidden, weights.routerNorm(), spec.width(), normed);
    Matrix routed = blocks.matrix(Slot.ROUTER, hidden.rows(), spec.copies());
    compute.matmul(weights.router(), normed, routed);
    rows(
        routed,
        row -> {
          float[] numbers = row.of(routed);
          for (int i = 0; i < numbers.length; i++) {
            numbers[i] = (float) Math.tanh((double) numbers[i] / spec.width());
          }
          row.put(numbers, routed, 0);
        });
    Matrix out = blocks.matrix(Slot.COEFFICIENTS, hidden.rows(), count);
    compute.matmul(weights.coefficients(), routed, out);
    return out;
  }

  /** The factor that makes a projection as long as what it is compared with. */
  private static float factor(float[] wanted, float[] projected) {
    return (float)
        (Math.sqrt(meanSquare(wanted)) / Math.sqrt(Math.max(meanSquare(projected), LEAST_SQUARE)));
  }

  private static double meanSquare(float[] numbers) {
    double sum = 0;
    for (float number : numbers) {
      sum += (double) number * number;
    }
    return sum / numbers.length;
  }

  private static void scale(float[] numbers, float factor) {
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] *= factor;
    }
  }

  private static void addTo(float[] sum, int at, float[] numbers, float factor) {
    addTo(sum, at, numbers, 0, numbers.length, factor);
  }

  private static void addTo(
      float[] sum, int at, float[] numbers, int from, int count, float factor) {
    for (int i = 0; i < count; i++) {
      sum[at + i] += factor * numbers[from + i];
    }
  }

  /** A token's row of some matrices. */
  private record Row(int index) {
    float[] of(Matrix matrix) {
      return of(matrix, 0, matrix.columns());
    }

    float[] of(Matrix matrix, int from, int count) {
      float[] numbers = new float[count];
      matrix.read(index, from, numbers);
      return numbers;
    }

    void put(float[] numbers, Matrix matrix, int at) {
      matrix.write(index, at, numbers);
    }
  }

  private interface Task {
    void accept(Row row);
  }

  private void rows(Matrix of, Task task) {
    compute.rows(
        of.rows(),
        of.columns() * PASS,
        (from, to) -> {
          for (int row = from; row < to; row++) {
            task.accept(new Row(row));
          }
        });
  }
}
