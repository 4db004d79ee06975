package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One layer's tensors by their GGUF suffix ({@code attn_q.weight}). Vectors are F32 matrices of one
 * row.
 */
public record LayerWeights(int index, Map<String, Matrix> tensors) {
  /** The tensor of this suffix, or null if the model has none. */
  public @Nullable Matrix find(String suffix) {
    return tensors.get(suffix);
  }

  /** The tensor of this suffix, which the model has: its file was checked when it was opened. */
  public Matrix get(String suffix) {
    Matrix tensor = tensors.get(suffix);
    if (tensor == null) {
      throw new IllegalStateException("Layer " + index + " has no " + suffix);
    }
    return tensor;
  }
}
