package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A block whose result takes the place of the residual stream, and is not added to it: of models
 * that have other ways round a block, or none.
 */
public record Replacement(Block block) implements Block {
  /** The weights of the block. */
  public record Weights(Block.Addend block) implements Block.Change {}

  @Override
  public int width() {
    return block.width();
  }

  @Override
  public List<TensorSpec> tensors() {
    return block.tensors();
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights((Block.Addend) block.weights(tensors, experts));
  }

  @Override
  public int widest() {
    return block.widest();
  }

  @Override
  public List<Block> parts() {
    return block.parts();
  }

  @Override
  public LayerLayout remembers() {
    return block.remembers();
  }

  @Override
  public boolean mixesTokens() {
    return block.mixesTokens();
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return block.activations(tokens, cache, layer);
  }

  @Override
  public Map<Slot, Integer> lasting() {
    return block.lasting();
  }

  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return block.work(format, policy, tokens, past);
  }
}
