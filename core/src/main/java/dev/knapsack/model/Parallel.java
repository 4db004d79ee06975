package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Blocks side by side: they read the same rows, and the sum of their results is added to the
 * residual stream. Each may have norms of its own, within those of all.
 *
 * @param norms of what all read, and of the sum
 * @param parts in the order in which they are summed
 */
public record Parallel(Norms norms, int width, List<Block> parts) implements Block {
  public Parallel {
    parts = List.copyOf(parts);
    if (parts.isEmpty() || parts.stream().anyMatch(Parallel.class::isInstance)) {
      throw new IllegalArgumentException("Some blocks stand side by side, each by itself");
    }
  }

  /** The weights of each part. */
  public record Weights(Norms.Weights norms, List<Block.Addend> parts) implements Block.Addend {
    public Weights {
      parts = List.copyOf(parts);
    }
  }

  @Override
  public List<TensorSpec> tensors() {
    return norms.around(width, parts.stream().flatMap(part -> part.tensors().stream()).toList());
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        norms.in(tensors),
        parts.stream().map(part -> (Block.Addend) part.weights(tensors, experts)).toList());
  }

  @Override
  public int widest() {
    return parts.stream().mapToInt(Block::widest).max().orElseThrow();
  }

  @Override
  public LayerLayout remembers() {
    return LayerLayout.all(parts.stream().map(Block::remembers));
  }

  @Override
  public boolean mixesTokens() {
    return parts.stream().anyMatch(Block::mixesTokens);
  }

  /** One part is computed after the other, so that those of all share slots. */
  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    numbers.put(Slot.PART_NORMED, (long) tokens * width);
    numbers.put(Slot.PART, (long) tokens * width);
    for (Block part : parts) {
      part.activations(tokens, cache, layer)
          .forEach((slot, n) -> numbers.merge(slot, n, Math::max));
    }
    return numbers;
  }

  @Override
  public Map<Slot, Integer> lasting() {
    Map<Slot, Integer> numbers = new EnumMap<>(Slot.class);
    parts.forEach(part -> part.lasting().forEach((slot, n) -> numbers.merge(slot, n, Math::max)));
    return numbers;
  }

  @Override
  public Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return parts.stream()
        .map(part -> part.work(format, policy, tokens, past))
        .reduce(Work.NONE, Work::plus);
  }
}
