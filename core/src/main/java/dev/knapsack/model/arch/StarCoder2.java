package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.model.Nonlinearity;
import java.util.Set;

/** StarCoder 2: layer norms, MLPs without a gate, and biases everywhere. */
final class StarCoder2 extends Family {
  @Override
  boolean centredNorms() {
    return true;
  }

  @Override
  Nonlinearity nonlinearity(Header header, int layer) {
    return new Nonlinearity.Ungated(Activation.GELU);
  }

  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_norm.bias", "ffn_norm.bias");
  }
}
