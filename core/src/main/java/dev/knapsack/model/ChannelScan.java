package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A selective scan of a token's own numbers, one after the other and back: the selective channel
 * mixer of MambaMixer (Behrouz et al., arXiv 2403.19888, section 3.2). It is {@link SelectiveScan}
 * with the numbers in place of tokens, each a row of width 1: they are projected to x and z, x is
 * scanned in either direction, with a convolution, a selection and decays of its own, and the
 * number's result is {@code (forwards + backwards) · silu(z)}, projected. Tokens do not see each
 * other.
 *
 * @param inner channels that a number is projected to
 * @param state numbers in B, in C and of each channel
 * @param rank numbers that Δ is projected from
 * @param taps of the convolutions
 */
public record ChannelScan(Norms norms, int width, int inner, int state, int rank, int taps)
    implements Block {
  private static final String INPUT = "channel_in.weight";
  private static final String OUTPUT = "channel_out.weight";

  /** The names of a direction's tensors. */
  private enum Direction {
    FORWARDS("channel_"),
    BACKWARDS("channel_back_");

    private final String prefix;

    Direction(String prefix) {
      this.prefix = prefix;
    }
  }

  /**
   * The tensors that it computes with.
   *
   * @param input x
   * @param gate z
   */
  public record Weights(
      ChannelScan spec,
      Norms.Weights norms,
      Matrix input,
      Matrix gate,
      Scan forwards,
      Scan backwards,
      Matrix output)
      implements Block.Addend {}

  /**
   * The tensors of one direction.
   *
   * @param lowStep what Δ is projected from
   * @param step Δ, before its bias and softplus
   */
  record Scan(
      Convolution convolution,
      Matrix lowStep,
      Matrix b,
      Matrix c,
      Matrix step,
      Matrix stepBias,
      SelectiveScan.Channels channels) {}

  // All of them are small, and in F32: rows of one number are no blocks of any format.
  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(INPUT, Role.NUMBERS, 1, 2 * inner));
    for (Direction direction : Direction.values()) {
      String prefix = direction.prefix;
      tensors.add(new TensorSpec(prefix + "conv1d.weight", Role.NUMBERS, taps, inner));
      tensors.add(new TensorSpec(prefix + "conv1d.bias", Role.BIAS, inner));
      tensors.add(new TensorSpec(prefix + "x.weight", Role.NUMBERS, inner, rank + 2 * state));
      tensors.add(new TensorSpec(prefix + "dt.weight", Role.NUMBERS, rank, inner));
      tensors.add(new TensorSpec(prefix + "dt.bias", Role.BIAS, inner));
      tensors.add(new TensorSpec(prefix + "a", Role.DECAY, state, inner));
      tensors.add(new TensorSpec(prefix + "d", Role.NUMBERS, inner));
    }
    tensors.add(new TensorSpec(OUTPUT, Role.NUMBERS, inner, 1));
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Matrix input = tensors.get(INPUT);
    return new Weights(
        this,
        norms.in(tensors),
        input.rows(0, inner),
        input.rows(inner, 2 * inner),
        scan(tensors, Direction.FORWARDS),
        scan(tensors, Direction.BACKWARDS),
        tensors.get(OUTPUT));
  }

  private Scan scan(LayerTensors tensors, Direction direction) {
    String prefix = direction.prefix;
    Matrix selected = tensors.get(prefix + "x.weight");
    return new Scan(
        new Convolution(
            tensors.get(prefix + "conv1d.weight"),
            tensors.get(prefix + "conv1d.bias").data(),
            true,
            0),
        selected.rows(0, rank),
        selected.rows(rank, rank + state),
        selected.rows(rank + state, rank + 2 * state),
        tensors.get(prefix + "dt.weight"),
        tensors.get(prefix + "dt.bias"),
        new SelectiveScan.Channels(
            inner,
            state,
            Convolution.carried(taps, inner),
            tensors.get(prefix + "a"),
            tensors.get(prefix + "d")));
  }

  @Override
  public int widest() {
    return Math.max(inner, rank);
  }

  /** Numbers of a scan's state, with what its convolution carries. */
  int stateNumbers() {
    return Convolution.carried(taps, inner) + inner * state;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    long rows = (long) tokens * width;
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    for (Slot slot : List.of(Slot.GATE, Slot.MIXED, Slot.CONVOLVED, Slot.STEP, Slot.SCANNED)) {
      numbers.put(slot, rows * inner);
    }
    numbers.put(Slot.LOW_RANK, rows * rank);
    numbers.put(Slot.STATE_IN, rows * state);
    numbers.put(Slot.STATE_OUT, rows * state);
    return numbers;
  }

  /** For each number and direction, what a token costs {@link SelectiveScan}, with projections. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    double scan = (4.0 + 2) * inner * state + (double) (taps + 2 * rank) * inner;
    return new Work(0, (double) tokens * width * (2 * scan + 3 * inner));
  }
}
