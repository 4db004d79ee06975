package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Rope.Pairs;
import dev.knapsack.model.Block;
import dev.knapsack.model.Gating;
import java.util.List;
import java.util.Set;

/**
 * DeepSeek V2, V3 and R1: latent attention; the first layers are dense, the others have experts.
 */
final class DeepSeek2 extends Family {
  @Override
  Pairs pairs() {
    return Pairs.ADJACENT;
  }

  /** A bias helps to choose experts whose weights are sigmoids: V3 and after. */
  @Override
  Set<String> requiredTensors(Header header) {
    return gatingFunction(header) == Gating.Function.SIGMOID
        ? Set.of("exp_probs_b.bias")
        : Set.of();
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    int rotated = header.columns("rope.dimension_count");
    Rope rope = Ropes.read(header, pairs(), rotated, context).withMagnitude(1);
    return List.of(latentAttention(header, layer, rope), feedForward(header, layer));
  }

  /**
   * YaRN's factor on queries and on keys is one on scores here, of numbers that are not rotated
   * too.
   */
  @Override
  float attentionScale(Header header, int layer) {
    double usual = 1 / Math.sqrt(header.latentKeySize(layer));
    if (!header.text("rope.scaling.type", "").equals("yarn")) {
      return (float) usual;
    }
    double multiplier = header.optional("rope.scaling.yarn_log_multiplier", 0);
    double factor = 1 + multiplier * Math.log(header.positive("rope.scaling.factor", 1));
    return (float) (factor * factor * usual);
  }
}
