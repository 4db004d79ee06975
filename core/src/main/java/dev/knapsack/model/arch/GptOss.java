package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.model.Gating;
import java.util.Set;

/**
 * gpt-oss: attention sinks, biases everywhere, a sliding window in every second layer, and a
 * softmax over the chosen experts' logits.
 */
final class GptOss extends Family {
  @Override
  Activation activation() {
    return Activation.GPT_OSS;
  }

  @Override
  Set<String> requiredTensors() {
    return Set.of(
        "attn_sinks.weight",
        "attn_q.bias",
        "attn_k.bias",
        "attn_v.bias",
        "attn_output.bias",
        "ffn_gate_inp.bias",
        "ffn_gate_exps.bias",
        "ffn_up_exps.bias",
        "ffn_down_exps.bias");
  }

  @Override
  String feedForwardNorm(Header header, int layer) {
    return "post_attention_norm.weight";
  }

  @Override
  int usualWindow() {
    return 128;
  }

  @Override
  boolean usuallyWindowed(int layer) {
    return layer % 2 == 0;
  }

  @Override
  Gating.Function usualGating() {
    return Gating.Function.SOFTMAX_OF_CHOSEN;
  }
}
