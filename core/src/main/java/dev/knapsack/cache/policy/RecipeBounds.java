package dev.knapsack.cache.policy;

import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvBounds;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import java.util.Optional;

/** The most that caches hold by a recipe: what its allocator gives, and its trigger lets wait. */
record RecipeBounds(Allocator allocator, Action action, Trigger trigger) implements KvBounds {
  @Override
  public int most(int tokens) {
    return (int) Math.min(tokens, (long) allocator.most(tokens) + trigger.slack());
  }

  @Override
  public long together(KvLayout layout, int layer, int tokens) {
    long heads = layout.heads(layer).kvHeads();
    return Math.min(
        heads * tokens, allocator.together(layout, layer, tokens) + heads * trigger.slack());
  }

  @Override
  public long inAll(KvLayout layout, int tokens) {
    long heads =
        layout.heads().stream()
            .filter(LayerLayout.Heads::seeAll)
            .mapToLong(LayerLayout.Heads::kvHeads)
            .sum();
    return Math.min(heads * tokens, allocator.inAll(layout, tokens) + heads * trigger.slack());
  }

  @Override
  public Optional<CoarseForm> coarse() {
    return action.coarse();
  }

  @Override
  public int mostCoarse(int tokens) {
    return action.mostCoarse(Math.min(tokens, allocator.most(tokens)), tokens);
  }

  @Override
  public Optional<HeadBases> bases() {
    return action.bases();
  }
}
