package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.LinearGru;
import java.util.List;
import java.util.Set;

/**
 * MatMul-free language models: ternary matrices, which mix tokens by a gated linear recurrence;
 * norms before the last matrix of each part, as all matrices norm what they multiply.
 */
final class MatMulFree extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("gru_sub_norm.weight", "ffn_sub_norm.weight");
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(new LinearGru(BEFORE_MIXER, header.width()), feedForward(header, layer));
  }
}
