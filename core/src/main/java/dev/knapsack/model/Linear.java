package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Compute.Product;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A linear map of activations, {@code out = scale · matrix · x + bias}, and what a run's {@link
 * Adapter} adds to it.
 *
 * @param bias F32; null for none
 * @param columns null where columns have no factors of their own
 */
public record Linear(
    Matrix matrix,
    float scale,
    @Nullable MemorySegment bias,
    @Nullable Columns columns,
    Place place) {
  /**
   * The matrix, as adapters know it: rows of a tensor that a layer declares.
   *
   * @param tensor its number among those that the layer declares
   * @param row the first of its rows
   */
  public record Place(int layer, int tensor, int row) {}

  /** Some of its results: those of rows {@code [from, to)} of the matrix. */
  Linear rows(int from, int to) {
    return new Linear(
        matrix.rows(from, to),
        scale,
        bias == null ? null : bias.asSlice(4L * from, 4L * (to - from)),
        columns,
        new Place(place.layer, place.tensor, place.row + from));
  }

  /** A linear map, and where its result goes. */
  record Into(Linear map, Matrix out) {}

  Into into(Matrix out) {
    return new Into(this, out);
  }

  /**
   * Factors and summands of a matrix's columns, {@code α_j M_ij + β_j}: of signs that is FBI-Linear
   * (Ma et al., arXiv 2407.07093, as published with "column" scaling). The factors are those of
   * activations, then, and the summands the same number for all results.
   *
   * @param alpha a row with a factor for each column, F32
   * @param beta likewise the summands
   */
  public record Columns(Matrix alpha, Matrix beta) {
    /** Nanoseconds of one core, roughly, for a number that is multiplied, or added to. */
    private static final double PASS = 1;

    /** Writes {@code α x} of each row, and {@code β · x}. */
    private void split(Blocks blocks, Matrix x, Matrix scaled, Matrix sums) {
      float[] factors = numbers(alpha);
      float[] summands = numbers(beta);
      blocks.compute.rows(
          x.rows(),
          x.columns() * PASS,
          (from, to) -> {
            float[] row = new float[x.columns()];
            for (int r = from; r < to; r++) {
              x.read(r, 0, row);
              double sum = 0;
              for (int i = 0; i < row.length; i++) {
                sum += (double) summands[i] * row[i];
                row[i] *= factors[i];
              }
              scaled.write(r, 0, row);
              sums.write(r, 0, new float[] {(float) sum});
            }
          });
    }

    private static float[] numbers(Matrix row) {
      float[] numbers = new float[row.columns()];
      row.read(0, 0, numbers);
      return numbers;
    }

    /** Adds a number to all of a row. */
    private static void add(Blocks blocks, Matrix sums, Matrix out) {
      blocks.compute.rows(
          out.rows(),
          out.columns() * PASS,
          (from, to) -> {
            float[] row = new float[out.columns()];
            float[] sum = new float[1];
            for (int r = from; r < to; r++) {
              out.read(r, 0, row);
              sums.read(r, 0, sum);
              for (int i = 0; i < row.length; i++) {
                row[i] += sum[0];
              }
              out.write(r, 0, row);
            }
          });
    }
  }

  /**
   * Applies maps to the same activations, one row a token of the step, as one task.
   *
   * @param maps all without factors of columns, or rows of one matrix
   */
  static void apply(Blocks blocks, Compute.Input x, Into... maps) {
    Columns columns = maps[0].map.columns;
    if (columns == null) {
      multiply(blocks, x, maps);
    } else {
      Matrix floats = x.floats();
      Matrix scaled = blocks.matrix(Slot.SCALED, floats.rows(), floats.columns());
      Matrix sums = blocks.matrix(Slot.SUMS, floats.rows(), 1);
      columns.split(blocks, floats, scaled, sums);
      multiply(blocks, blocks.compute.input(scaled), maps);
      for (Into each : maps) {
        Columns.add(blocks, sums, each.out);
      }
    }
    for (AdapterRows rows : blocks.adapted) {
      rows.add(blocks.compute, x.floats(), maps);
    }
  }

  private static void multiply(Blocks blocks, Compute.Input x, Into... maps) {
    Product[] products = new Product[maps.length];
    Arrays.setAll(products, i -> new Product(maps[i].map.matrix, maps[i].out));
    blocks.compute.matmul(x, products);
    for (Into each : maps) {
      if (each.map.scale != 1) {
        blocks.compute.scale(each.out, each.map.scale);
      }
      if (each.map.bias != null) {
        blocks.compute.addBias(each.out, each.map.bias);
      }
    }
  }

  void apply(Blocks blocks, Compute.Input x, Matrix out) {
    apply(blocks, x, into(out));
  }
}
