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
 * A choice of MLPs: a router chooses {@code used} of {@code count} experts for each token.
 *
 * @param hidden numbers in the hidden layer of an expert
 * @param normalise whether the chosen weights are divided by their sum
 * @param softmaxLast whether the softmax is over the chosen logits only (gpt-oss) and not over all
 * @param scale factor on the chosen weights
 * @param shared the expert that every token uses; null for none
 */
public record Experts(
    Norms norms,
    int width,
    int count,
    int used,
    int hidden,
    Activation activation,
    boolean normalise,
    boolean softmaxLast,
    float scale,
    @Nullable Dense shared)
    implements Block {
  private static final String ROUTER = "ffn_gate_inp.weight";
  private static final String ROUTER_BIAS = "ffn_gate_inp.bias";
  private static final String GATE = "ffn_gate_exps.";
  private static final String UP = "ffn_up_exps.";
  private static final String DOWN = "ffn_down_exps.";
  private static final String SHARED_GATE = "ffn_gate_inp_shexp.weight";

  /**
   * The tensors that it computes with.
   *
   * @param gateBias a row for each expert
   * @param upBias likewise
   * @param downBias likewise
   * @param sharedGate what the sigmoid is of that the shared expert counts with; null for 1
   */
  public record Weights(
      Experts spec,
      Norms.Weights norms,
      Linear router,
      ExpertBank experts,
      @Nullable Matrix gateBias,
      @Nullable Matrix upBias,
      @Nullable Matrix downBias,
      Dense.@Nullable Weights shared,
      @Nullable Matrix sharedGate)
      implements Block.Addend {}

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(ROUTER, Role.ROUTER, width, count));
    tensors.add(new TensorSpec(ROUTER_BIAS, Role.BIAS, count).orNone());
    tensors.add(new TensorSpec(GATE + "weight", Role.EXPERTS, width, hidden, count));
    tensors.add(new TensorSpec(UP + "weight", Role.EXPERTS, width, hidden, count));
    tensors.add(new TensorSpec(DOWN + "weight", Role.EXPERTS, hidden, width, count));
    tensors.add(new TensorSpec(GATE + "bias", Role.BIAS, hidden, count).orNone());
    tensors.add(new TensorSpec(UP + "bias", Role.BIAS, hidden, count).orNone());
    tensors.add(new TensorSpec(DOWN + "bias", Role.BIAS, width, count).orNone());
    if (shared != null) {
      tensors.addAll(shared.tensors());
      tensors.add(new TensorSpec(SHARED_GATE, Role.NUMBERS, width).orNone());
    }
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Matrix routerBias = tensors.find(ROUTER_BIAS);
    return new Weights(
        this,
        norms.in(tensors),
        new Linear(
            tensors.get(ROUTER),
            routerBias == null ? null : routerBias.data(),
            tensors.place(ROUTER)),
        experts != null
            ? experts
            : ExpertBank.of(
                tensors.get(GATE + "weight"),
                tensors.get(UP + "weight"),
                tensors.get(DOWN + "weight"),
                count),
        tensors.find(GATE + "bias"),
        tensors.find(UP + "bias"),
        tensors.find(DOWN + "bias"),
        shared == null ? null : shared.weights(tensors, null),
        shared == null ? null : tensors.find(SHARED_GATE));
  }

  @Override
  public int widest() {
    return Math.max(hidden, shared == null ? 0 : shared.hidden());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.GATE, (long) tokens * widest());
    numbers.put(Slot.UP, (long) tokens * widest());
    numbers.put(Slot.ROUTER, (long) tokens * count);
    numbers.put(Slot.GATHERED, (long) tokens * width);
    numbers.put(Slot.EXPERT, (long) tokens * width);
    return numbers;
  }

  /** Experts that some of {@code tokens} tokens use, if each uses any with equal chance. */
  public double distinct(int tokens) {
    return count * (1 - Math.pow(1 - (double) used / count, tokens));
  }
}
