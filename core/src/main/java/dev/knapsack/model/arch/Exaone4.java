package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Norms;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * EXAONE 4: norms of what each part adds, and none before; queries and keys normed per head. Where
 * there is a sliding window, three layers of four have it, and those alone are rotated.
 */
final class Exaone4 extends Family {
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
  boolean usuallyWindowed(int layer) {
    return (layer + 1) % 4 != 0;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return isRotated(header, layer) ? super.rope(header, layer, context) : null;
  }
}
