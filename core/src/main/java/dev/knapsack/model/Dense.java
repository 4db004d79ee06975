package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.kernel.Activation;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The MLP that every token goes through: {@code down(function(gate(x), up(x)))}.
 *
 * @param hidden numbers in the hidden layer
 * @param function gated, or of {@code up(x)} alone
 * @param kind what its tensors' names have after {@code ffn_up}: nothing, or {@code _shexp}
 * @param gateLast whether, where gate and up are in one tensor, the gate's rows are the last
 */
public record Dense(
    Norms norms, int width, int hidden, Nonlinearity function, String kind, boolean gateLast)
    implements Block {
  /** With the gate's rows first. */
  public Dense(Norms norms, int width, int hidden, Nonlinearity function, String kind) {
    this(norms, width, hidden, function, kind, false);
  }

  /** A gated one. */
  public Dense(Norms norms, int width, int hidden, Activation activation, String kind) {
    this(norms, width, hidden, new Nonlinearity.Gated(activation), kind);
  }

  /**
   * The matrices that it computes with.
   *
   * @param gate null where it is not gated
   * @param hiddenNorm of the hidden layer, before {@code down}
   */
  public record Weights(
      Dense spec,
      Norms.Weights norms,
      @Nullable Linear gate,
      Linear up,
      @Nullable Matrix hiddenNorm,
      Linear down)
      implements Block.Addend {}

  /** The gate, if it has one, and up, in the order in which they are in one tensor. */
  private List<Projection> inputs() {
    String name = "ffn_up" + kind;
    if (!function.isGated()) {
      return List.of(new Projection(name, width, hidden));
    }
    Projection gate = new Projection("ffn_gate" + kind, width, hidden, name);
    Projection up = new Projection(name, width, hidden, name);
    return gateLast ? List.of(up, gate) : List.of(gate, up);
  }

  private String hiddenNorm() {
    return "ffn_sub_norm" + kind + ".weight";
  }

  private Projection down() {
    return new Projection("ffn_down" + kind, hidden, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(Projection.tensors(inputs()));
    tensors.add(new TensorSpec(hiddenNorm(), Role.NORM, hidden).orNone());
    tensors.addAll(down().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    List<Linear> inputs = Projection.in(tensors, inputs());
    return new Weights(
        this,
        norms.in(tensors),
        !function.isGated() ? null : gateLast ? inputs.getLast() : inputs.getFirst(),
        gateLast ? inputs.getFirst() : inputs.getLast(),
        tensors.find(hiddenNorm()),
        down().in(tensors));
  }

  @Override
  public int widest() {
    return hidden;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.UP, (long) tokens * hidden);
    if (function.isGated()) {
      numbers.put(Slot.GATE, (long) tokens * hidden);
    }
    return numbers;
  }
}
