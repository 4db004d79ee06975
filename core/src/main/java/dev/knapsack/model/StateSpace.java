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
 * A state space with a scalar decay for each head (Mamba-2; Dao and Gu, arXiv 2405.21060). Of the
 * projections z, x, B, C and Δ of a token, x, B and C are convolved with those before; each head
 * then has a state S that becomes {@code e^(Δ·a) S + Δ x ⊗ B}, and the token's result is {@code
 * norm((S C + d x) · silu(z))}, projected. Models may do without the norm.
 *
 * @param inner numbers in x, all heads
 * @param heads each with a decay and a step of its own
 * @param state numbers in B and in C
 * @param groups of heads that share B and C, and of channels that are normed together
 * @param taps of the convolution
 * @param byColumn whether columns of its matrices have factors and summands of their own
 */
public record StateSpace(
    Norms norms, int width, int inner, int heads, int state, int groups, int taps, boolean byColumn)
    implements Block {
  /** One whose matrices are as they are. */
  public StateSpace(Norms norms, int width, int inner, int heads, int state, int groups, int taps) {
    this(norms, width, inner, heads, state, groups, taps, false);
  }

  /** The same with factors and summands of columns. */
  public StateSpace scaledByColumn() {
    return new StateSpace(norms, width, inner, heads, state, groups, taps, true);
  }

  private static final String TAPS = "ssm_conv1d.weight";
  private static final String TAPS_BIAS = "ssm_conv1d.bias";
  private static final String STEP_BIAS = "ssm_dt.bias";
  private static final String DECAY = "ssm_a";
  private static final String SKIP = "ssm_d";
  private static final String NORM = "ssm_norm.weight";

  /**
   * The tensors that it computes with.
   *
   * @param gate z
   * @param mixed x, B and C, one after the other
   * @param step Δ, before its bias and softplus
   * @param groupNorm null for none
   */
  public record Weights(
      StateSpace spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Linear gate,
      Linear mixed,
      Linear step,
      Convolution convolution,
      Matrix stepBias,
      Heads heads,
      @Nullable Matrix groupNorm,
      Linear output)
      implements Block.Addend {}

  /**
   * The heads and their states.
   *
   * @param size numbers of a head's x
   * @param groups of heads that share B and C
   * @param state numbers in B and in C
   * @param place the number of a layer's state where those of the heads begin
   * @param decay the rate a of each head, below 0
   * @param skip d of each head
   */
  record Heads(int count, int size, int groups, int state, int place, Matrix decay, Matrix skip) {}

  /** Numbers in x, B and C of a token. */
  int mixedColumns() {
    return inner + 2 * groups * state;
  }

  private Projection inputs() {
    return new Projection("ssm_in", width, inner + mixedColumns() + heads, null, byColumn);
  }

  private Projection output() {
    return new Projection("ssm_out", inner, width, null, byColumn);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(inputs().tensors());
    tensors.add(new TensorSpec(TAPS, Role.NUMBERS, taps, mixedColumns()));
    tensors.add(new TensorSpec(TAPS_BIAS, Role.BIAS, mixedColumns()).orNone());
    tensors.add(new TensorSpec(STEP_BIAS, Role.BIAS, heads));
    tensors.add(new TensorSpec(DECAY, Role.DECAY, 1, heads));
    tensors.add(new TensorSpec(SKIP, Role.NUMBERS, 1, heads));
    tensors.add(new TensorSpec(NORM, Role.NORM, inner / groups, groups).orNone());
    tensors.addAll(output().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Linear inputs = inputs().in(tensors);
    Matrix bias = tensors.find(TAPS_BIAS);
    int mixedEnd = inner + mixedColumns();
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        inputs.rows(0, inner),
        inputs.rows(inner, mixedEnd),
        inputs.rows(mixedEnd, mixedEnd + heads),
        new Convolution(tensors.get(TAPS), bias == null ? null : bias.data(), true, 0),
        tensors.get(STEP_BIAS),
        new Heads(
            heads,
            inner / heads,
            groups,
            state,
            convolved(),
            tensors.get(DECAY),
            tensors.get(SKIP)),
        tensors.find(NORM),
        output().in(tensors));
  }

  @Override
  public int widest() {
    return inner;
  }

  /** Numbers that the convolution carries; the states of the heads follow. */
  int convolved() {
    return Convolution.carried(taps, mixedColumns());
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
    numbers.put(Slot.GATE, (long) tokens * inner);
    numbers.put(Slot.MIXED, (long) tokens * mixedColumns());
    numbers.put(Slot.STEP, (long) tokens * heads);
    numbers.put(Slot.CONVOLVED, (long) tokens * mixedColumns());
    numbers.put(Slot.SCANNED, (long) tokens * inner);
    if (byColumn) {
      numbers.put(Slot.SCALED, (long) tokens * Math.max(width, inner));
      numbers.put(Slot.SUMS, (long) tokens);
    }
    return numbers;
  }

  /**
   * The state, which is read and written; and for each number of it, a decay, a sum and a result.
   */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(
        2.0 * stateBytes(), tokens * (3.0 * inner * state + (double) taps * mixedColumns()));
  }
}
