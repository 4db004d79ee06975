package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.kernel.Activation;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The MLP that every token goes through: {@code down(activation(gate(x)) · up(x))}.
 *
 * @param hidden numbers in the hidden layer
 * @param cutoff gates count 0 that are not so many standard deviations above the mean of a token's,
 *     and the others what they are above that; 0 to count all as they are
 * @param kind what its tensors' names have after {@code ffn_gate}: nothing, or {@code _shexp}
 */
public record Dense(
    Norms norms, int width, int hidden, Activation activation, float cutoff, String kind)
    implements Block {
  /** One whose gates all count. */
  public Dense(Norms norms, int width, int hidden, Activation activation, String kind) {
    this(norms, width, hidden, activation, 0, kind);
  }

  /** The matrices that it computes with. */
  public record Weights(Dense spec, Norms.Weights norms, Linear gate, Linear up, Linear down)
      implements Block.Addend {}

  private List<Projection> inputs() {
    String up = "ffn_up" + kind;
    return List.of(
        new Projection("ffn_gate" + kind, width, hidden, up),
        new Projection(up, width, hidden, up));
  }

  private Projection down() {
    return new Projection("ffn_down" + kind, hidden, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    return norms.around(
        width, Projection.tensors(List.of(inputs().getFirst(), inputs().getLast(), down())));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    List<Linear> inputs = Projection.in(tensors, inputs());
    return new Weights(
        this, norms.in(tensors), inputs.getFirst(), inputs.getLast(), down().in(tensors));
  }

  @Override
  public int widest() {
    return hidden;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(Slot.GATE, (long) tokens * hidden, Slot.UP, (long) tokens * hidden);
  }
}
