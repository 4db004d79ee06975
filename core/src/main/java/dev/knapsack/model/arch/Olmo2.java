package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.HeadNorms;
import dev.knapsack.model.Norms;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * OLMo 2 and 3: norms of what each part adds, and none before; queries and keys normed over all
 * heads. OLMo 3 has a sliding window in three layers of four, and scales the rotary embedding of
 * the others alone.
 */
final class Olmo2 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight", AFTER_ATTENTION, AFTER_FEED_FORWARD);
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return new Norms(null, AFTER_ATTENTION);
  }

  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return new Norms(null, AFTER_FEED_FORWARD);
  }

  @Override
  HeadNorms headNorms(Header header, int layer) {
    return HeadNorms.TOGETHER;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return (layer + 1) % 4 != 0;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return window(header, layer) > 0
        ? Ropes.unscaled(header, pairs(), header.keySize(layer))
        : super.rope(header, layer, context);
  }
}
