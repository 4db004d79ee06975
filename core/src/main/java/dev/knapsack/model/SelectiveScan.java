package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A state space with decays for each channel (Mamba; Gu and Dao, arXiv 2312.00752). A token is
 * projected to x and z; x is convolved with those before, and B, C and Δ, through a few numbers,
 * are projections of that. Each channel has numbers h that become {@code e^(Δ·a) h + Δ x B}, and
 * the token's result is {@code (h · C + d x) · silu(z)}, projected.
 *
 * @param inner numbers in x: channels
 * @param state numbers in B, in C and of each channel
 * @param rank numbers that Δ is projected from
 * @param taps of the convolution
 * @param selection the norms of B, C and what Δ is projected from
 */
public record SelectiveScan(
    Norms norms, int width, int inner, int state, int rank, int taps, Selection selection)
    implements Block {
  /** The norms of what is selected by. */
  public enum Selection {
    AS_IT_IS,
    /** Each of length 1 on average. */
    NORMED,
    /** The same, with factors that the model has. */
    NORMED_BY_FACTORS
  }

  private static final String TAPS = "ssm_conv1d.weight";
  private static final String TAPS_BIAS = "ssm_conv1d.bias";
  private static final String DECAY = "ssm_a";
  private static final String SKIP = "ssm_d";
  private static final String LOW_STEP_NORM = "ssm_dt_norm.weight";
  private static final String B_NORM = "ssm_b_norm.weight";
  private static final String C_NORM = "ssm_c_norm.weight";

  /**
   * The tensors that it computes with.
   *
   * @param input x
   * @param gate z
   * @param lowStep what Δ is projected from
   * @param step Δ, before its softplus
   * @param lowStepNorm null where there are no factors, as those of b and c
   */
  public record Weights(
      SelectiveScan spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Linear input,
      Linear gate,
      Convolution convolution,
      Linear lowStep,
      Linear b,
      Linear c,
      @Nullable Matrix lowStepNorm,
      @Nullable Matrix bNorm,
      @Nullable Matrix cNorm,
      Linear step,
      Channels channels,
      Linear output)
      implements Block.Addend {}

  /**
   * The channels and their states.
   *
   * @param state numbers in B, in C and of each channel
   * @param place the number of a layer's state where those of the channels begin: one of each, for
   *     each number of B
   * @param decay the rates a, all below 0: a row for each channel
   * @param skip d of each channel
   */
  record Channels(int count, int state, int place, Matrix decay, Matrix skip) {}

  private Projection inputs() {
    return new Projection("ssm_in", width, 2 * inner);
  }

  private Projection selected() {
    return new Projection("ssm_x", inner, rank + 2 * state);
  }

  private Projection step() {
    return new Projection("ssm_dt", rank, inner);
  }

  private Projection output() {
    return new Projection("ssm_out", inner, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(inputs().tensors());
    tensors.add(new TensorSpec(TAPS, Role.NUMBERS, taps, inner));
    tensors.add(new TensorSpec(TAPS_BIAS, Role.BIAS, inner).orNone());
    tensors.addAll(selected().tensors());
    tensors.addAll(step().tensors());
    if (selection == Selection.NORMED_BY_FACTORS) {
      tensors.add(new TensorSpec(LOW_STEP_NORM, Role.NORM, rank));
      tensors.add(new TensorSpec(B_NORM, Role.NORM, state));
      tensors.add(new TensorSpec(C_NORM, Role.NORM, state));
    }
    tensors.add(new TensorSpec(DECAY, Role.DECAY, state, inner));
    tensors.add(new TensorSpec(SKIP, Role.NUMBERS, inner));
    tensors.addAll(output().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return weights(tensors, tensors.state(this));
  }

  /** The same with this state. */
  Weights weights(LayerTensors tensors, Recurrence.Place place) {
    Linear inputs = inputs().in(tensors);
    Linear selected = selected().in(tensors);
    Matrix bias = tensors.find(TAPS_BIAS);
    return new Weights(
        this,
        place,
        norms.in(tensors),
        inputs.rows(0, inner),
        inputs.rows(inner, 2 * inner),
        new Convolution(tensors.get(TAPS), bias == null ? null : bias.data(), true, 0),
        selected.rows(0, rank),
        selected.rows(rank, rank + state),
        selected.rows(rank + state, rank + 2 * state),
        tensors.find(LOW_STEP_NORM),
        tensors.find(B_NORM),
        tensors.find(C_NORM),
        step().in(tensors),
        new Channels(inner, state, convolved(), tensors.get(DECAY), tensors.get(SKIP)),
        output().in(tensors));
  }

  @Override
  public int widest() {
    return Math.max(inner, rank);
  }

  /** Numbers that the convolution carries; the states of the channels follow. */
  private int convolved() {
    return Convolution.carried(taps, inner);
  }

  long stateBytes() {
    return Float.BYTES * (convolved() + (long) inner * state);
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    for (Slot slot : List.of(Slot.GATE, Slot.MIXED, Slot.CONVOLVED, Slot.STEP, Slot.SCANNED)) {
      numbers.put(slot, (long) tokens * inner);
    }
    numbers.put(Slot.LOW_RANK, (long) tokens * rank);
    numbers.put(Slot.STATE_IN, (long) tokens * state);
    numbers.put(Slot.STATE_OUT, (long) tokens * state);
    return numbers;
  }

  /**
   * The state, which is read and written; and for each number of it, a decay and its power, a sum
   * and a result.
   */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * stateBytes(), tokens * (4.0 * inner * state + (double) taps * inner));
  }
}
