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
 * A state space with a scalar decay for each head, as {@link StateSpace} is, whose B, C and Δ are
 * projections of what was convolved, as those of {@link SelectiveScan} are (PLaMo 2). A token is
 * projected to a gate z and x, head by head; x is convolved with those before, and B, C and what Δ
 * is projected from are normed. All heads share B and C.
 *
 * @param inner numbers in x, all heads
 * @param heads each with a decay and a step of its own
 * @param state numbers in B and in C
 * @param rank numbers that Δ is projected from
 * @param taps of the convolution
 */
public record SelectiveStateSpace(
    Norms norms, int width, int inner, int heads, int state, int rank, int taps) implements Block {
  private static final String TAPS = "ssm_conv1d.weight";
  private static final String DECAY = "ssm_a";
  private static final String SKIP = "ssm_d";
  // Files name these three without the usual ending.
  private static final String LOW_STEP_NORM = "ssm_dt_norm";
  private static final String B_NORM = "ssm_b_norm";
  private static final String C_NORM = "ssm_c_norm";

  /**
   * The tensors that it computes with.
   *
   * @param inputs z and x of each head
   * @param lowStep what Δ is projected from
   * @param step Δ, before its softplus
   */
  public record Weights(
      SelectiveStateSpace spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Linear inputs,
      Convolution convolution,
      Linear b,
      Linear c,
      Linear lowStep,
      Matrix bNorm,
      Matrix cNorm,
      Matrix lowStepNorm,
      Linear step,
      StateSpace.Heads heads,
      Linear output)
      implements Block.Addend {}

  private Projection inputs() {
    return new Projection("ssm_in", width, 2 * inner);
  }

  private Projection selected() {
    return new Projection("ssm_x", inner, 2 * state + rank);
  }

  private Projection step() {
    return new Projection("ssm_dt", rank, heads);
  }

  private Projection output() {
    return new Projection("ssm_out", inner, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(inputs().tensors());
    tensors.add(new TensorSpec(TAPS, Role.NUMBERS, taps, inner));
    tensors.addAll(selected().tensors());
    tensors.addAll(step().tensors());
    tensors.add(new TensorSpec(DECAY, Role.DECAY, heads));
    tensors.add(new TensorSpec(SKIP, Role.NUMBERS, heads));
    tensors.addAll(output().tensors());
    tensors.add(new TensorSpec(LOW_STEP_NORM, Role.NORM, rank));
    tensors.add(new TensorSpec(B_NORM, Role.NORM, state));
    tensors.add(new TensorSpec(C_NORM, Role.NORM, state));
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Linear selected = selected().in(tensors);
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        inputs().in(tensors),
        new Convolution(tensors.get(TAPS), null, 0),
        selected.rows(0, state),
        selected.rows(state, 2 * state),
        selected.rows(2 * state, 2 * state + rank),
        tensors.get(B_NORM),
        tensors.get(C_NORM),
        tensors.get(LOW_STEP_NORM),
        step().in(tensors),
        new StateSpace.Heads(
            heads, inner / heads, 1, state, convolved(), tensors.get(DECAY), tensors.get(SKIP)),
        output().in(tensors));
  }

  @Override
  public int widest() {
    return Math.max(inner, rank);
  }

  /** Numbers that the convolution carries; the states of the heads follow. */
  private int convolved() {
    return Convolution.carried(taps, inner);
  }

  private long stateBytes() {
    return Float.BYTES * (convolved() + (long) inner * state);
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.MIXED, 2L * tokens * inner);
    for (Slot slot : List.of(Slot.GATE, Slot.CONVOLVED, Slot.SCANNED)) {
      numbers.put(slot, (long) tokens * inner);
    }
    numbers.put(Slot.STATE_IN, (long) tokens * state);
    numbers.put(Slot.STATE_OUT, (long) tokens * state);
    numbers.put(Slot.LOW_RANK, (long) tokens * rank);
    numbers.put(Slot.STEP, (long) tokens * heads);
    return numbers;
  }

  /**
   * The state, which is read and written; and for each number of it, a decay, a sum and a result.
   */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * stateBytes(), tokens * (3.0 * inner * state + (double) taps * inner));
  }
}
