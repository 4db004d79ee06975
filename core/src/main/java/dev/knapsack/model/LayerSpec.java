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

  /**
   * Its attention if that caches all tokens before: not those in a sliding window only, nor the
   * rows of a step alone, nor what another layer has cached.
   */
  public @Nullable Attention fullAttention() {
    Attention attention = attention();
    return attention == null || attention.window() > 0 || !attention.hasKeys() || readsRows()
        ? null
        : attention;
  }

  /** Says whether its tokens see the rows of a step alone, so that texts are computed whole. */
  boolean readsRows() {
    Attention attention = attention();
    return attention != null && attention.source() instanceof Attention.Source.Rows;
  }

  /** The part of its sequences that it remembers: what its blocks do, together. */
  public LayerLayout remembers() {
    return LayerLayout.all(blocks.stream().map(Block::remembers));
  }

  /** Says whether a block reads the residual stream as the layer got it, too. */
  boolean readsInput() {
    return parts().stream().anyMatch(Block::readsLayerInput);
  }

  /** Says whether it carries a state from token to token. */
  public boolean carriesState() {
    return remembers().stateBytes() > 0;
  }

  /** Its blocks, and in place of those that are made of others, these. */
  List<Block> parts() {
    return blocks.stream().flatMap(block -> block.parts().stream()).toList();
  }

  private <T extends Block> @Nullable T first(Class<T> kind) {
    for (Block block : parts()) {
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
