package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A gated recurrence that is linear in its state, of each channel by itself: the MLGRU of
 * MatMul-free language models (Zhu et al., arXiv 2406.02528). A token is projected to a forget
 * gate, a candidate and an output gate; {@code f = σ(forget)}, {@code h = f · h + (1 − f) ·
 * silu(candidate)}, and the token's result is {@code σ(gate) · h}, normed if the model has that
 * norm, and projected.
 */
public record LinearGru(Norms norms, int width) implements Block {
  private static final String HIDDEN_NORM = "gru_sub_norm.weight";

  /**
   * The tensors that it computes with.
   *
   * @param hiddenNorm of what is projected last; null for none
   */
  public record Weights(
      LinearGru spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Linear forget,
      Linear candidate,
      Linear gate,
      @Nullable Matrix hiddenNorm,
      Linear output)
      implements Block.Addend {}

  private Projection matrix(String name) {
    return new Projection("gru_" + name, width, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    for (String name : List.of("forget", "candidate", "gate")) {
      tensors.addAll(matrix(name).tensors());
    }
    tensors.add(new TensorSpec(HIDDEN_NORM, Role.NORM, width).orNone());
    tensors.addAll(matrix("output").tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        matrix("forget").in(tensors),
        matrix("candidate").in(tensors),
        matrix("gate").in(tensors),
        tensors.find(HIDDEN_NORM),
        matrix("output").in(tensors));
  }

  @Override
  public int widest() {
    return width;
  }

  private long stateBytes() {
    return (long) Float.BYTES * width;
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    long numbers = (long) tokens * width;
    return Map.of(
        Slot.STEP, numbers, Slot.MIXED, numbers, Slot.GATE, numbers, Slot.SCANNED, numbers);
  }

  /** The state, which is read and written; and for each number of it, two products. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * stateBytes(), 2.0 * tokens * width);
  }
}
