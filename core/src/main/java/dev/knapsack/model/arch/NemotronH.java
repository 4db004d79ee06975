package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Block;
import dev.knapsack.model.Gating;
import dev.knapsack.model.Nonlinearity;
import dev.knapsack.model.Norms;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Nemotron H: one part a layer, after one norm. That is attention, which is not rotated, where a
 * layer has key and value heads, an MLP or experts where it has a width, and else a state space.
 */
final class NemotronH extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_norm.weight", "exp_probs_b.bias");
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return null;
  }

  @Override
  Nonlinearity nonlinearity(Header header, int layer) {
    return new Nonlinearity.Ungated(Activation.RELU_SQUARED);
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SIGMOID;
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return BEFORE_MIXER;
  }

  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return BEFORE_MIXER;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    if (header.hasKvHeads(layer)) {
      return List.of(attention(header, layer, context));
    }
    return List.of(
        header.hasFeedForward(layer)
            ? feedForward(header, layer)
            : stateSpace(header, BEFORE_MIXER));
  }
}
