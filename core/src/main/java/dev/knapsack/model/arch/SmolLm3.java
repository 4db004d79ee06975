package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import org.jspecify.annotations.Nullable;

/**
 * SmolLM 3: Llama without rotary embedding in every fourth layer, or in those that the file names.
 */
final class SmolLm3 extends Llama {
  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return header.layerFlag("rope.layers", layer, (layer + 1) % 4 != 0)
        ? super.rope(header, layer, context)
        : null;
  }
}
