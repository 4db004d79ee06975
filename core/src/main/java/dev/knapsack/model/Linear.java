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
 */
public record Linear(Matrix matrix, float scale, @Nullable MemorySegment bias, Place place) {
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
        new Place(place.layer, place.tensor, place.row + from));
  }

  /** A linear map, and where its result goes. */
  record Into(Linear map, Matrix out) {}

  Into into(Matrix out) {
    return new Into(this, out);
  }

  /** Applies maps to the same activations, one row a token of the step, as one task. */
  static void apply(Blocks blocks, Compute.Input x, Into... maps) {
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
    for (AdapterRows rows : blocks.adapted) {
      rows.add(blocks.compute, x.floats(), maps);
    }
  }

  void apply(Blocks blocks, Compute.Input x, Matrix out) {
    apply(blocks, x, into(out));
  }
}
