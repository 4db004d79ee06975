package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Rope.Pairs;
import dev.knapsack.model.Block;
import dev.knapsack.model.Norms;
import dev.knapsack.model.Parallel;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Command R7B and A: attention and MLP side by side behind one layer norm, a sliding window in
 * three layers of four, and those alone rotated.
 */
final class Cohere2 extends Family {
  @Override
  Pairs pairs() {
    return Pairs.ADJACENT;
  }

  @Override
  boolean centredNorms() {
    return true;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(
        new Parallel(BEFORE_MIXER, header.width(), super.blocks(header, layer, context)));
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return Norms.NONE;
  }

  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return Norms.NONE;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return (layer + 1) % 4 != 0;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return windowed(header, layer) ? super.rope(header, layer, context) : null;
  }

  @Override
  float logitScale(Header header) {
    return header.positive("logit_scale");
  }
}
