package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Experts;
import dev.knapsack.model.Gating;
import org.jspecify.annotations.Nullable;

/**
 * SmallThinker: experts that are chosen by what a layer reads, before its attention, and a sliding
 * window in three layers of four, which alone are rotated.
 */
final class SmallThinker extends Family {
  @Override
  Activation activation() {
    return Activation.RELU;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return layer % 4 != 0;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return isRotated(header, layer) ? super.rope(header, layer, context) : null;
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }

  @Override
  Experts.Routed routed() {
    return Experts.Routed.LAYER_INPUT;
  }
}
