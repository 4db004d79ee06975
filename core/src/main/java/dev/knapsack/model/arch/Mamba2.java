package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import java.util.List;
import java.util.Set;

/** Mamba 2: a state space in each layer, and nothing else. */
class Mamba2 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_conv1d.bias", "ssm_norm.weight");
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(stateSpace(header, BEFORE_MIXER));
  }
}
