package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.DeltaRule;
import java.util.List;
import java.util.Set;

/**
 * Qwen 3.5, dense and with experts: three layers of four follow the gated delta rule, the others
 * have attention with gates.
 */
class Qwen35 extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_q_norm.weight", "attn_k_norm.weight", "ffn_gate_inp_shexp.weight");
  }

  @Override
  String feedForwardNorm(Header header, int layer) {
    return AFTER_ATTENTION;
  }

  @Override
  boolean fuses(Block block) {
    return block instanceof DeltaRule;
  }

  @Override
  boolean gatesAttention() {
    return true;
  }

  DeltaRule.Form form(Header header, int layer) {
    return DeltaRule.Form.TILED;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    boolean usual = header.layerFlag("full_attention_interval", layer, (layer + 1) % 4 != 0);
    Block mixer =
        header.layerFlag("attention.recurrent_layers", layer, usual)
            ? deltaRule(header, layer)
            : attention(header, layer, context);
    return List.of(mixer, feedForward(header, layer));
  }

  private DeltaRule deltaRule(Header header, int layer) {
    int values = header.columns("ssm.inner_size");
    int heads = header.heads("ssm.time_step_rank");
    if (values % heads != 0) {
      throw header.wrong(
          "ssm.time_step_rank", "%d heads do not share %d values evenly".formatted(heads, values));
    }
    return deltaRule(
        header,
        layer,
        header.heads("ssm.group_count"),
        heads,
        header.columns("ssm.state_size"),
        values / heads,
        form(header, layer));
  }
}
