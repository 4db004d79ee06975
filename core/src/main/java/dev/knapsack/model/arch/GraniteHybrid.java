package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Block;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Granite 4: Granite with attention in the layers that have key and value heads, and state spaces
 * in the others; files say whether it rotates.
 */
final class GraniteHybrid extends Granite {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_conv1d.bias", "ssm_norm.weight");
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return header.flag("rope.scaling.finetuned", true) ? super.rope(header, layer, context) : null;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    Block mixer =
        header.hasKvHeads(layer)
            ? attention(header, layer, context)
            : stateSpace(header, BEFORE_MIXER);
    return List.of(mixer, feedForward(header, layer));
  }
}
