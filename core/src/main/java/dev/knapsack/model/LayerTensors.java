package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import org.jspecify.annotations.Nullable;

/** A layer's tensors by name, where they lie in memory: what its blocks' weights are found in. */
@FunctionalInterface
public interface LayerTensors {
  /** The tensor of this name, or null if the model has none; small ones are F32. */
  @Nullable Matrix find(String name);

  /** The tensor of this name, which the model has: its file was checked when it was opened. */
  default Matrix get(String name) {
    Matrix tensor = find(name);
    if (tensor == null) {
      throw new IllegalStateException("The layer has no " + name);
    }
    return tensor;
  }
}
