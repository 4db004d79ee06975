package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A gated short convolution: {@code out(c · convolve(b · x))} of three projections b, c and x.
 *
 * @param taps rows that a result depends on: its own and those before
 */
public record ShortConvolution(Norms norms, int width, int taps) implements Block {
  private static final String TAPS = "shortconv.conv.weight";

  /** The tensors that it computes with. */
  public record Weights(
      ShortConvolution spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Linear before,
      Linear after,
      Linear input,
      Convolution convolution,
      Linear output)
      implements Block.Addend {}

  private Projection inputs() {
    return new Projection("shortconv.in_proj", width, 3 * width);
  }

  private Projection output() {
    return new Projection("shortconv.out_proj", width, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(inputs().tensors());
    tensors.add(new TensorSpec(TAPS, Role.NUMBERS, taps, width));
    tensors.addAll(output().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    Linear inputs = inputs().in(tensors);
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        inputs.rows(0, width),
        inputs.rows(width, 2 * width),
        inputs.rows(2 * width, 3 * width),
        new Convolution(tensors.get(TAPS), null, false, 0),
        output().in(tensors));
  }

  @Override
  public int widest() {
    return width;
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(stateBytes());
  }

  private long stateBytes() {
    return (long) Float.BYTES * Convolution.carried(taps, width);
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    long numbers = (long) tokens * width;
    return Map.of(
        Slot.GATE,
        numbers,
        Slot.OUTPUT_GATE,
        numbers,
        Slot.MIXED,
        numbers,
        Slot.CONVOLVED,
        numbers);
  }

  /** The state, which is read and written. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * stateBytes(), (double) tokens * taps * width);
  }
}
