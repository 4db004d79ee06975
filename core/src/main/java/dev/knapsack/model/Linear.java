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
  void apply(Compute compute, Compute.Input x, Matrix out) {
    compute.matmul(matrix, x, out);
    if (bias != null) {
      compute.addBias(out, bias);
    }
  }
}
