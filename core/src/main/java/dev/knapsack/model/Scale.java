package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A factor on the whole residual stream.
 *
 * @param tensor the tensor whose one number it is multiplied with; null for none
 */
public record Scale(int width, float factor, @Nullable String tensor) implements Block {
  /** The factor, with that of the tensor. */
  public record Weights(float factor) implements Block.Change {}

  @Override
  public List<TensorSpec> tensors() {
    return tensor == null ? List.of() : List.of(new TensorSpec(tensor, Role.NORM, 1));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        tensor == null
            ? factor
            : factor * tensors.get(tensor).data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0));
  }

  @Override
  public int widest() {
    return 0;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of();
  }
}
