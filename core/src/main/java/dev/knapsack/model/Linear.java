package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
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

  void apply(Compute compute, Compute.Input x, Matrix out) {
    compute.matmul(matrix, x, out);
    if (bias != null) {
      compute.addBias(out, bias);
    }
  }
}
