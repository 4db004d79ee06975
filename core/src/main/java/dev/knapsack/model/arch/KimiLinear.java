package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.DeltaRule;
import java.util.List;

/**
 * Kimi Linear: the delta rule with a decay for each channel, and latent attention without rotation
 * in the layers that have key and value heads; the first layers are dense, the others have experts.
 */
final class KimiLinear extends Family {
  @Override
  List<Block> blocks(Header header, int layer, int context) {
    Block mixer =
        header.hasKvHeads(layer) ? latentAttention(header, layer, null) : deltaRule(header, layer);
    return List.of(mixer, feedForward(header, layer));
  }

  private DeltaRule deltaRule(Header header, int layer) {
    int heads = header.heads(layer);
    int size = header.columns("kda.head_dim");
    return deltaRule(header, layer, heads, heads, size, size, DeltaRule.Form.BY_CHANNEL);
  }

  @Override
  float attentionScale(Header header, int layer) {
    return (float) (1 / Math.sqrt(header.latentKeySize(layer)));
  }
}
