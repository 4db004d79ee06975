package dev.knapsack.model;

import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The names of a block's norms: of what it reads, and of what it adds to the residual stream.
 *
 * @param before null for none
 * @param after null for none; a model may do without the one that is named
 */
public record Norms(@Nullable String before, @Nullable String after) {
  /** No norms: of a block within another. */
  public static final Norms NONE = new Norms(null, null);

  /** The norms of a layer's block, F32 factors of the model's width. */
  public record Weights(@Nullable Matrix before, @Nullable Matrix after) {
    static final Weights NONE = new Weights(null, null);
  }

  /** A block's tensors, with its norms around them. */
  List<TensorSpec> around(int width, List<TensorSpec> tensors) {
    List<TensorSpec> all = new ArrayList<>();
    if (before != null) {
      all.add(new TensorSpec(before, Role.NORM, width));
    }
    all.addAll(tensors);
    if (after != null) {
      all.add(new TensorSpec(after, Role.NORM, width).orNone());
    }
    return all;
  }

  Weights in(LayerTensors tensors) {
    return new Weights(
        before == null ? null : tensors.get(before), after == null ? null : tensors.find(after));
  }
}
