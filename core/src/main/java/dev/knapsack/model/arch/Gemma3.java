package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Gemma 3: five layers with a sliding window and an unscaled rotary embedding of their own base to
 * one that sees everything; queries and keys normed per head in place of a soft cap.
 */
class Gemma3 extends Gemma2 {
  private static final int PERIOD = 6;

  @Override
  Set<String> requiredTensors() {
    return Set.of(
        "attn_q_norm.weight",
        "attn_k_norm.weight",
        "ffn_norm.weight",
        "post_attention_norm.weight",
        "post_ffw_norm.weight");
  }

  @Override
  int usualWindow() {
    return 0;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return (layer + 1) % PERIOD != 0;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return windowed(header, layer)
        ? Ropes.plain(
            header, pairs(), header.keySize(layer), header.positive("rope.freq_base_swa", 10_000))
        : super.rope(header, layer, context);
  }

  @Override
  int largestLayers() {
    return 62;
  }

  @Override
  float attentionSoftCap(Header header) {
    return 0; // the norms of queries and keys stand for it, whatever a file says
  }

  @Override
  float logitSoftCap(Header header) {
    return header.optional("final_logit_softcapping", 0);
  }
}
