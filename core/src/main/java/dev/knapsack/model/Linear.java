package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Compute.Product;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A linear map of activations: {@code out = matrix · x + bias}.
 *
 * @param bias F32; null for none
 */
public record Linear(Matrix matrix, @Nullable MemorySegment bias) {
  /** Some of its results: those of rows {@code [from, to)} of the matrix. */
  Linear rows(int from, int to) {
    return new Linear(
        matrix.rows(from, to), bias == null ? null : bias.asSlice(4L * from, 4L * (to - from)));
  }

  /** A linear map, and where its result goes. */
  record Into(Linear map, Matrix out) {}

  Into into(Matrix out) {
    return new Into(this, out);
  }

  /** Applies maps to the same activations, as one task of the workers. */
  static void apply(Compute compute, Compute.Input x, Into... maps) {
    Product[] products = new Product[maps.length];
    Arrays.setAll(products, i -> new Product(maps[i].map.matrix, maps[i].out));
    compute.matmul(x, products);
    for (Into each : maps) {
      if (each.map.bias != null) {
        compute.addBias(each.out, each.map.bias);
      }
    }
  }

  void apply(Compute compute, Compute.Input x, Matrix out) {
    apply(compute, x, into(out));
  }
}
