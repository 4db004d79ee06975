package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.kernel.Activation;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The summand that a layer makes of a token's {@linkplain PerLayerInputs inputs} for it: {@code
 * proj(activation(gate(x)) · input)}.
 */
public record PerLayerInput(Norms norms, PerLayerInputs inputs, Activation activation)
    implements Block {
  /** The matrices that it computes with. */
  public record Weights(
      PerLayerInput spec, int layer, Norms.Weights norms, Linear gate, Linear projection)
      implements Block.Addend {}

  private Projection gate() {
    return new Projection("inp_gate", inputs.width(), inputs.size());
  }

  private Projection projection() {
    return new Projection("proj", inputs.size(), inputs.width());
  }

  @Override
  public int width() {
    return inputs.width();
  }

  @Override
  public List<TensorSpec> tensors() {
    return norms.around(width(), Projection.tensors(List.of(gate(), projection())));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this, tensors.layer(), norms.in(tensors), gate().in(tensors), projection().in(tensors));
  }

  @Override
  public int widest() {
    return inputs.size();
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    long numbers = (long) tokens * inputs.size();
    return Map.of(Slot.GATE, numbers, Slot.UP, numbers);
  }
}
