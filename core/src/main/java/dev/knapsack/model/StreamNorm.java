package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A norm of the residual stream itself, after a block has been added to it: {@code norm(x)}, of
 * models whose norms are not before their blocks (Vaswani et al., arXiv 1706.03762, 3.1).
 *
 * @param name of the tensor of its factors
 * @param again whether the stream as the layer got it is added once more before
 */
public record StreamNorm(String name, int width, boolean again) implements Block {
  /** The factors and summands. */
  public record Weights(StreamNorm spec, Norm norm) implements Block.Change {}

  @Override
  public List<TensorSpec> tensors() {
    return Norm.tensors(name, width);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(this, Objects.requireNonNull(Norm.find(name, tensors::find)));
  }

  @Override
  public int widest() {
    return width;
  }

  @Override
  public boolean readsLayerInput() {
    return again;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of();
  }
}
