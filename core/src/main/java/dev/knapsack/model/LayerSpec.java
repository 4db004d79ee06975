package dev.knapsack.model;

import dev.knapsack.cache.LayerLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A layer's blocks, in the order in which they are computed. */
public record LayerSpec(List<Block> blocks) {
  public LayerSpec {
    blocks = List.copyOf(blocks);
  }

  /** Its attention; null where it has none. */
  public @Nullable Attention attention() {
    return first(Attention.class);
  }

  /** Its experts; null where it has none. */
  public @Nullable Experts experts() {
    return first(Experts.class);
  }

  /** Its attention if that sees all tokens before, and not those in a sliding window only. */
  public @Nullable Attention fullAttention() {
    Attention attention = attention();
    return attention == null || attention.window() > 0 ? null : attention;
  }

  /** What it remembers of a sequence: the memory of the one block that has any. */
  LayerLayout remembers() {
    return blocks.stream()
        .filter(Block::mixesTokens)
        .map(Block::remembers)
        .findFirst()
        .orElse(new LayerLayout.None());
  }

  /** Whether it carries a state from token to token, in place of remembering tokens. */
  public boolean carriesState() {
    return remembers() instanceof LayerLayout.Recurrent;
  }

  private <T extends Block> @Nullable T first(Class<T> kind) {
    for (Block block : blocks) {
      if (kind.isInstance(block)) {
        return kind.cast(block);
      }
    }
    return null;
  }

  /** The tensors of all blocks. */
  public List<TensorSpec> tensors() {
    return blocks.stream().flatMap(block -> block.tensors().stream()).toList();
  }
}
