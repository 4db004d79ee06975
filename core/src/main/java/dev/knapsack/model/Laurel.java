package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A learned augmented residual layer (Menghani et al., arXiv 2411.07501): {@code x +
 * norm(right(left(x)))}.
 *
 * @param rank numbers between the two
 */
public record Laurel(int width, int rank) implements Block {
  /** The tensor of the first matrix, whose rows are the rank. */
  public static final String LEFT = "laurel_l";

  private static final String NORM = "laurel_post_norm.weight";

  /** The tensors that it computes with. */
  public record Weights(Laurel spec, Linear left, Linear right, Matrix norm)
      implements Block.Addend {
    @Override
    public Norms.Weights norms() {
      return Norms.Weights.NONE;
    }
  }

  private Projection left() {
    return new Projection(LEFT, width, rank);
  }

  private Projection right() {
    return new Projection("laurel_r", rank, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(Projection.tensors(List.of(left(), right())));
    tensors.add(new TensorSpec(NORM, Role.NORM, width));
    return tensors;
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(this, left().in(tensors), right().in(tensors), tensors.get(NORM));
  }

  @Override
  public int widest() {
    return Math.max(width, rank);
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(Slot.GATE, (long) tokens * rank);
  }
}
