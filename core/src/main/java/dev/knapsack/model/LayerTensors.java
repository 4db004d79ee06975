package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A layer's tensors by name, where they lie in memory: its blocks' weights are found in them. */
public final class LayerTensors {
  /**
   * Finds a tensor by its name within the layer: null if the model has none; small ones are F32.
   */
  @FunctionalInterface
  public interface Found {
    @Nullable Matrix find(String name);
  }

  private final int layer;
  private final LayerSpec spec;
  private final List<String> declared;
  private final Found found;

  LayerTensors(int layer, LayerSpec spec, Found found) {
    this.layer = layer;
    this.spec = spec;
    this.declared = spec.tensors().stream().map(TensorSpec::name).toList();
    this.found = found;
  }

  /** The layer that they are of. */
  int layer() {
    return layer;
  }

  /** The tensor of this name, or null if the model has none; small ones are F32. */
  @Nullable Matrix find(String name) {
    return found.find(name);
  }

  /** The tensor of this name, which the model has: its file was checked when it was opened. */
  Matrix get(String name) {
    Matrix tensor = find(name);
    if (tensor == null) {
      throw new IllegalStateException("The layer has no " + name);
    }
    return tensor;
  }

  /** The place of a block's state, after those of the layer's blocks before it. */
  Recurrence.Place state(Block block) {
    List<Block> parts = spec.parts();
    long before =
        parts.subList(0, parts.indexOf(block)).stream()
            .mapToLong(part -> part.remembers().stateBytes())
            .sum();
    return new Recurrence.Place(layer, before, block.remembers().stateBytes());
  }

  /** The place of a matrix that the layer declares, by which adapters know it. */
  Linear.Place place(String name) {
    return new Linear.Place(layer, declared.indexOf(name), 0);
  }
}
