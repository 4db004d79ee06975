package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.Gating;
import dev.knapsack.model.ShortConvolution;
import java.util.List;
import java.util.Set;

/**
 * LFM 2, dense and with experts: short convolutions, and attention in the layers that have key and
 * value heads; its last norm has the name of one of the embeddings.
 */
final class Lfm2 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight");
  }

  @Override
  String outputNorm() {
    return "token_embd_norm.weight";
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return true;
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    Block mixer =
        header.hasKvHeads(layer)
            ? attention(header, layer, context)
            : new ShortConvolution(BEFORE_MIXER, header.width(), header.taps("shortconv.l_cache"));
    return List.of(mixer, feedForward(header, layer));
  }
}
