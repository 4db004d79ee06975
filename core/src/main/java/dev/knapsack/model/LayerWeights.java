package dev.knapsack.model;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A layer's weights, block by block, where they lie in memory.
 *
 * @param index the layer
 */
public record LayerWeights(int index, List<Block.Weights> blocks) {
  public LayerWeights {
    blocks = List.copyOf(blocks);
  }

  /** The weights of blocks outside the layers, by the names of their tensors in the file. */
  public static List<Block.Weights> outside(List<Block> blocks, LayerTensors.Found found) {
    return of(-1, new LayerSpec(blocks), found, null).blocks;
  }

  /**
   * Finds them among the layer's tensors.
   *
   * @param experts the layer's, if they are not among the tensors
   */
  public static LayerWeights of(
      int index, LayerSpec layer, LayerTensors.Found found, @Nullable ExpertBank experts) {
    LayerTensors tensors = new LayerTensors(index, layer, found);
    return new LayerWeights(
        index,
        layer.blocks().stream()
            .<Block.Weights>map(block -> block.weights(tensors, experts))
            .toList());
  }
}
