package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import java.util.Set;

/** Gemma 2: four norms, soft caps, and a sliding window in every second layer. */
class Gemma2 extends Family {
  @Override
  Activation activation() {
    return Activation.GELU;
  }

  @Override
  Set<String> requiredTensors() {
    return Set.of("ffn_norm.weight", "post_attention_norm.weight", "post_ffw_norm.weight");
  }

  @Override
  int usualWindow() {
    return 4096;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return layer % 2 == 0;
  }

  /** Layers of the size whose query scale is by width and not by head size; it is in no key. */
  int largestLayers() {
    return 46;
  }

  @Override
  float attentionScale(Header header, int layer) {
    return header.layers() == largestLayers()
        ? (float) (1 / Math.sqrt((double) header.width() / header.heads(layer)))
        : super.attentionScale(header, layer);
  }

  @Override
  float attentionSoftCap(Header header) {
    return header.optional("attn_logit_softcapping", 50);
  }

  @Override
  float logitSoftCap(Header header) {
    return header.optional("final_logit_softcapping", 30);
  }

  @Override
  float embeddingScale(Header header) {
    return (float) Math.sqrt(header.width());
  }
}
