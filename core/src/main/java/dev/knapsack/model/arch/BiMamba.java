package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import java.util.List;

/**
 * Bi-Mamba (Tang et al., arXiv 2411.11843): Mamba 2 whose projections are signs, with a factor and
 * a summand of each column.
 */
final class BiMamba extends Mamba2 {
  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(stateSpace(header, BEFORE_MIXER).scaledByColumn());
  }
}
