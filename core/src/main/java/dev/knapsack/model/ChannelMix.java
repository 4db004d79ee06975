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
 * The MLP of RWKV 7, {@code value(relu(key(x))²)}, of x somewhere {@linkplain TokenShift between} a
 * token and the one before.
 *
 * @param hidden numbers in the hidden layer
 */
public record ChannelMix(Norms norms, int width, int hidden) implements Block {
  private static final String SHARE = "channel_mix_lerp_k.weight";

  /**
   * The tensors that it computes with.
   *
   * @param share how far back it reads
   */
  public record Weights(
      ChannelMix spec,
      Recurrence.Place state,
      Norms.Weights norms,
      Matrix share,
      Linear key,
      Linear value)
      implements Block.Addend {}

  private Projection key() {
    return new Projection("channel_mix_key", width, hidden);
  }

  private Projection value() {
    return new Projection("channel_mix_value", hidden, width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(SHARE, Role.NUMBERS, width));
    tensors.addAll(Projection.tensors(List.of(key(), value())));
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this,
        tensors.state(this),
        norms.in(tensors),
        tensors.get(SHARE),
        key().in(tensors),
        value().in(tensors));
  }

  @Override
  public int widest() {
    return hidden;
  }

  @Override
  public LayerLayout remembers() {
    return new LayerLayout.Recurrent(TokenShift.bytes(width));
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(
        Slot.BACK, (long) tokens * width,
        Slot.MIXED, (long) tokens * width,
        Slot.UP, (long) tokens * hidden);
  }

  /** The row before, which is read and written. */
  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return new Work(2.0 * TokenShift.bytes(width), (double) tokens * width);
  }
}
