package dev.knapsack.model.arch;

import dev.knapsack.model.HeadNorms;
import java.util.Set;

/** Hunyuan without experts: queries and keys normed per head after they are rotated. */
final class HunyuanDense extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight");
  }

  @Override
  HeadNorms headNorms(Header header, int layer) {
    return HeadNorms.EACH_ROTATED;
  }
}
