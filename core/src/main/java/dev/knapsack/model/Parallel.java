package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Blocks side by side: they read the same rows, and the sum of their results is added to the
 * residual stream, or the difference of two. Each may have norms of its own, within those of all.
 *
 * @param norms of what all read, and of the sum
 * @param parts in the order in which they are summed
 * @param difference whether there are two, of which is made {@code e^(q₁·k₁) a − e^(q₂·k₂) b}, with
 *     vectors that the model has: the weighted difference of EmbBERT (Bravin et al., arXiv
 *     2502.10001)
 */
public record Parallel(Norms norms, int width, List<Block> parts, boolean difference)
    implements Block {
  private static final List<String> EXPONENTS = List.of("1.weight", "2.weight");

  /** Blocks whose results are summed. */
  public Parallel(Norms norms, int width, List<Block> parts) {
    this(norms, width, parts, false);
  }

  public Parallel {
    parts = List.copyOf(parts);
    if (difference && parts.size() != 2) {
      throw new IllegalArgumentException(
          "A difference is of two blocks, and there are " + parts.size());
    }
    if (parts.isEmpty() || parts.stream().anyMatch(Parallel.class::isInstance)) {
      throw new IllegalArgumentException("Some blocks stand side by side, each by itself");
    }
  }

  /**
   * The weights of each part.
   *
   * @param factors of each part's result
   */
  public record Weights(Norms.Weights norms, List<Block.Addend> parts, List<Float> factors)
      implements Block.Addend {
    public Weights {
      parts = List.copyOf(parts);
      factors = List.copyOf(factors);
    }
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    parts.forEach(part -> tensors.addAll(part.tensors()));
    if (difference) {
      for (String exponent : EXPONENTS) {
        tensors.add(new TensorSpec("lambda_q" + exponent, Role.NUMBERS, width));
        tensors.add(new TensorSpec("lambda_k" + exponent, Role.NUMBERS, width));
      }
    }
    return norms.around(width, tensors);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        norms.in(tensors),
        parts.stream().map(part -> (Block.Addend) part.weights(tensors, experts)).toList(),
        difference
            ? List.of(factor(tensors, EXPONENTS.get(0)), -factor(tensors, EXPONENTS.get(1)))
            : Collections.nCopies(parts.size(), 1f));
  }

  private float factor(LayerTensors tensors, String exponent) {
    float[] q = new float[width];
    float[] k = new float[width];
    tensors.get("lambda_q" + exponent).read(0, 0, q);
    tensors.get("lambda_k" + exponent).read(0, 0, k);
    double sum = 0;
    for (int i = 0; i < width; i++) {
      sum += (double) q[i] * k[i];
    }
    return (float) Math.exp(sum);
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
