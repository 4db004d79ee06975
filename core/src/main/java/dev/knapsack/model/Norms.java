package dev.knapsack.model;

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

  /** The norms of a layer's block. */
  public record Weights(@Nullable Norm before, @Nullable Norm after) {
    static final Weights NONE = new Weights(null, null);
  }

  /** A block's tensors, with its norms around them. */
  List<TensorSpec> around(int width, List<TensorSpec> tensors) {
    List<TensorSpec> all = new ArrayList<>();
    if (before != null) {
      all.addAll(Norm.tensors(before, width));
    }
    all.addAll(tensors);
    if (after != null) {
      Norm.tensors(after, width).forEach(tensor -> all.add(tensor.orNone()));
    }
    return all;
  }

  Weights in(LayerTensors tensors) {
    return new Weights(find(before, tensors), find(after, tensors));
  }

  private static @Nullable Norm find(@Nullable String name, LayerTensors tensors) {
    return name == null ? null : Norm.find(name, tensors::find);
  }
}
