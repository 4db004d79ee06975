package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The inputs that a token has for each layer, made before the first of its row in a table and of
 * its embedding; {@link PerLayerInput} adds them.
 *
 * @param size numbers in the input of one layer
 */
public record PerLayerInputs(int width, int vocabulary, int layers, int size) implements Block {
  /** The tensor with each token's numbers for all layers. */
  public static final String TABLE = "per_layer_token_embd.weight";

  private static final String PROJECTION = "per_layer_model_proj.weight";
  private static final String NORM = "per_layer_proj_norm.weight";

  /** The tensors that it computes with, beside the table. */
  public record Weights(PerLayerInputs spec, Matrix projection, Matrix norm)
      implements Block.Change {}

  /** Numbers that a token has for all layers. */
  public int columns() {
    return layers * size;
  }

  @Override
  public List<TensorSpec> tensors() {
    return List.of(
        new TensorSpec(TABLE, Role.EMBEDDING, columns(), vocabulary),
        new TensorSpec(PROJECTION, Role.MATRIX, width, columns()),
        new TensorSpec(NORM, Role.NORM, size));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(this, tensors.get(PROJECTION), tensors.get(NORM));
  }

  @Override
  public int widest() {
    return width;
  }

  @Override
  public Map<Slot, Integer> lasting() {
    return Map.of(Slot.PER_LAYER, columns());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(Slot.GATHERED, (long) tokens * columns());
  }
}
