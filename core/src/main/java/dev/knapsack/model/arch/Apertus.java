package dev.knapsack.model.arch;

import dev.knapsack.kernel.Xielu;
import dev.knapsack.model.Nonlinearity;
import java.util.Set;

/**
 * Apertus: queries and keys normed per head, and MLPs without a gate, each with a curve learned.
 */
final class Apertus extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight");
  }

  @Override
  Nonlinearity nonlinearity(Header header, int layer) {
    float beta = header.unprefixed("xielu.beta", layer);
    double positive = softplus(header.unprefixed("xielu.alpha_p", layer));
    double negative = softplus(header.unprefixed("xielu.alpha_n", layer));
    float limit = header.unprefixed("xielu.eps", layer);
    return new Nonlinearity.Curved(
        new Xielu((float) positive, (float) (beta + negative), beta, limit));
  }

  private static double softplus(double x) {
    return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  }
}
