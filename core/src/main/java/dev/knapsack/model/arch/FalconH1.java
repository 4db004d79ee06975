package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.Norms;
import dev.knapsack.model.Parallel;
import java.util.List;
import java.util.Set;

/** Falcon H1: attention and a state space side by side, from the same norm. */
final class FalconH1 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_conv1d.bias");
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return Norms.NONE;
  }

  /** Files name it without the usual ending. */
  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return new Norms("ffn_norm", null);
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    Block mixer =
        new Parallel(
            BEFORE_MIXER,
            header.width(),
            List.of(attention(header, layer, context), stateSpace(header, Norms.NONE)));
    return List.of(mixer, feedForward(header, layer));
  }
}
