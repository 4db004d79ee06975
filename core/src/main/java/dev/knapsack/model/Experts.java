package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
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
 * @param function of an expert's hidden layer, as in {@link Dense}
 * @param latent numbers that experts read and write in place of {@code width}: a projection of what
 *     the block reads, and back; 0 for none
 * @param routed what the router reads
 * @param shared the expert that every token uses; null for none
 */
public record Experts(
    Norms norms,
    int width,
    int count,
    int used,
    int hidden,
    Nonlinearity function,
    Gating gating,
    int latent,
    Routed routed,
    @Nullable Dense shared)
    implements Block {
  /** The rows that the router reads. */
  public enum Routed {
    /** Those that the experts read. */
    INPUT,
    /** The residual stream as the layer got it. */
    LAYER_INPUT,
    /** Those that the block reads before its norm, normed and scaled for the router alone. */
    RESIDUAL
  }

  private static final String ROUTER = "ffn_gate_inp.weight";
  private static final String ROUTER_SCALE = "ffn_gate_inp.scale";
  private static final String ROUTER_BIAS = "ffn_gate_inp.bias";
  private static final String CHOICE_BIAS = "exp_probs_b.bias";
  private static final String GATE = "ffn_gate_exps.";
  private static final String UP = "ffn_up_exps.";
  private static final String GATE_AND_UP = "ffn_gate_up_exps.weight";
  private static final String DOWN = "ffn_down_exps.";
  private static final String SCALE = "ffn_down_exps.scale";
  private static final String SHARED_GATE = "ffn_gate_inp_shexp.weight";

  /**
   * The tensors that it computes with.
   *
   * @param routerScale factors on what the router reads; null unless that is {@link
   *     Routed#RESIDUAL}
   * @param scale a factor on the results of each expert; null for none
   * @param choiceBias what the weights of experts are more by when they are chosen, and not after
   * @param gateBias a row for each expert
   * @param upBias likewise
   * @param downBias likewise
   * @param toLatent the way to what experts read; null for none, as the way back
   * @param sharedGate what the sigmoid is of that the shared expert counts with; null for 1
   */
  public record Weights(
      Experts spec,
      Norms.Weights norms,
      Linear router,
      @Nullable Matrix routerScale,
      @Nullable Matrix scale,
      @Nullable Matrix choiceBias,
      ExpertBank experts,
      @Nullable Matrix gateBias,
      @Nullable Matrix upBias,
      @Nullable Matrix downBias,
      @Nullable Linear toLatent,
      @Nullable Linear fromLatent,
      Dense.@Nullable Weights shared,
      @Nullable Matrix sharedGate)
      implements Block.Addend {}

  /** Numbers that an expert reads, and writes. */
  int expertWidth() {
    return latent == 0 ? width : latent;
  }

  private Projection toLatent() {
    return new Projection("ffn_latent_down", width, latent);
  }

  private Projection fromLatent() {
    return new Projection("ffn_latent_up", latent, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(ROUTER, Role.ROUTER, width, count));
    if (routed == Routed.RESIDUAL) {
      tensors.add(new TensorSpec(ROUTER_SCALE, Role.NORM, width));
    }
    tensors.add(new TensorSpec(SCALE, Role.NORM, count).orNone());
    tensors.add(new TensorSpec(ROUTER_BIAS, Role.BIAS, count).orNone());
    tensors.add(new TensorSpec(CHOICE_BIAS, Role.BIAS, count).orNone());
    if (latent > 0) {
      tensors.addAll(Projection.tensors(List.of(toLatent(), fromLatent())));
    }
    TensorSpec up = new TensorSpec(UP + "weight", Role.EXPERTS, expertWidth(), hidden, count);
    if (function.isGated()) {
      tensors.add(up.named(GATE + "weight").in(GATE_AND_UP));
      tensors.add(up.in(GATE_AND_UP));
      tensors.add(new TensorSpec(GATE + "bias", Role.BIAS, hidden, count).orNone());
    } else {
      tensors.add(up);
    }
    tensors.add(new TensorSpec(DOWN + "weight", Role.EXPERTS, hidden, expertWidth(), count));
    tensors.add(new TensorSpec(UP + "bias", Role.BIAS, hidden, count).orNone());
    tensors.add(new TensorSpec(DOWN + "bias", Role.BIAS, expertWidth(), count).orNone());
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
            1,
            routerBias == null ? null : routerBias.data(),
            null,
            tensors.place(ROUTER)),
        routed == Routed.RESIDUAL ? tensors.get(ROUTER_SCALE) : null,
        tensors.find(SCALE),
        tensors.find(CHOICE_BIAS),
        experts != null ? experts : bank(tensors),
        tensors.find(GATE + "bias"),
        tensors.find(UP + "bias"),
        tensors.find(DOWN + "bias"),
        latent == 0 ? null : toLatent().in(tensors),
        latent == 0 ? null : fromLatent().in(tensors),
        shared == null ? null : shared.weights(tensors, null),
        shared == null ? null : tensors.find(SHARED_GATE));
  }

  private ExpertBank bank(LayerTensors tensors) {
    Matrix both = tensors.find(GATE_AND_UP);
    List<Matrix> matrices = new ArrayList<>();
    if (function.isGated() && both == null) {
      matrices.add(tensors.get(GATE + "weight"));
    }
    matrices.add(function.isGated() && both != null ? both : tensors.get(UP + "weight"));
    matrices.add(tensors.get(DOWN + "weight"));
    return ExpertBank.of(matrices, count);
  }

  /**
   * One of the experts.
   *
   * @param gate null where it is not gated
   */
  record Expert(@Nullable Matrix gate, Matrix up, Matrix down) {}

  /** The expert that has these matrices, in the order in which its tensors are declared. */
  Expert expert(List<Matrix> matrices) {
    Matrix first = matrices.getFirst();
    Matrix down = matrices.getLast();
    if (!function.isGated()) {
      return new Expert(null, first, down);
    }
    return matrices.size() == 2
        ? new Expert(first.rows(0, hidden), first.rows(hidden, 2 * hidden), down)
        : new Expert(first, matrices.get(1), down);
  }

  @Override
  public boolean readsLayerInput() {
    return routed == Routed.LAYER_INPUT;
  }

  @Override
  public int widest() {
    return Math.max(Math.max(hidden, latent), shared == null ? 0 : shared.hidden());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.UP, (long) tokens * hidden);
    if (function.isGated()) {
      numbers.put(Slot.GATE, (long) tokens * hidden);
    }
    if (shared != null) {
      shared
          .activations(tokens, cache, layer)
          .forEach((slot, n) -> numbers.merge(slot, n, Math::max));
    }
    numbers.put(Slot.ROUTER, (long) tokens * count);
    numbers.put(Slot.GATHERED, (long) tokens * expertWidth());
    numbers.put(Slot.EXPERT, (long) tokens * Math.max(width, latent));
    if (latent > 0) {
      numbers.put(Slot.LATENT, (long) tokens * latent);
      numbers.put(Slot.LATENT_DELTA, (long) tokens * latent);
    }
    return numbers;
  }

  /** Experts that some of {@code tokens} tokens use, if each uses any with equal chance. */
  public double distinct(int tokens) {
    return count * (1 - Math.pow(1 - (double) used / count, tokens));
  }
}
