package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The MLP of MemoryFormer (arXiv 2411.12992): two {@link MemoryLayer}s with a layer norm between,
 * and no other function; the hidden layer has more bits for each of as many tables.
 *
 * @param bits of the parts of what it reads
 * @param extraBits that parts of the hidden layer have more
 */
public record MemoryMlp(Norms norms, int width, int bits, int extraBits) implements Block {
  private static final String HIDDEN_NORM = "ffn_hash_norm.weight";

  /** The tables that it computes with. */
  public record Weights(
      MemoryMlp spec,
      Norms.Weights norms,
      MemoryLayer.Weights up,
      Norm hiddenNorm,
      MemoryLayer.Weights down)
      implements Block.Addend {}

  int hiddenBits() {
    return bits + extraBits;
  }

  /** Numbers in the hidden layer. */
  int hidden() {
    return width / bits * hiddenBits();
  }

  private MemoryLayer up() {
    return new MemoryLayer("ffn_up_hash", width, bits, hidden());
  }

  private MemoryLayer down() {
    return new MemoryLayer("ffn_down_hash", hidden(), hiddenBits(), width);
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>(up().tensors());
    tensors.addAll(Norm.tensors(HIDDEN_NORM, hidden()));
    tensors.addAll(down().tensors());
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this,
        norms.in(tensors),
        up().in(tensors),
        Objects.requireNonNull(Norm.find(HIDDEN_NORM, tensors::find)),
        down().in(tensors));
  }

  @Override
  public int widest() {
    return Math.max(width, hidden());
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(
        Slot.UP,
        (long) tokens * hidden(),
        Slot.GATHERED,
        Math.max(up().gathered(tokens), down().gathered(tokens)));
  }

  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return up().work(tokens).plus(down().work(tokens));
  }
}
