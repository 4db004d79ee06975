package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.HeadNorms;
import dev.knapsack.model.Norms;
import dev.knapsack.model.SelectiveStateSpace;
import java.util.List;
import java.util.Set;

/**
 * PLaMo 2: attention in the layers that have key and value heads, state spaces in the others; norms
 * before and after each part.
 */
final class Plamo2 extends Family {
  // Files name the norms after the parts without the usual ending.
  private static final Norms AROUND_MIXER = new Norms("attn_norm.weight", "post_attention_norm");
  private static final Norms AROUND_MLP = new Norms("ffn_norm.weight", "post_ffw_norm");

  @Override
  Set<String> requiredTensors() {
    return Set.of(
        "attn_q_norm.weight",
        "attn_k_norm.weight",
        "ssm_dt.bias",
        "post_attention_norm",
        "post_ffw_norm");
  }

  @Override
  boolean fuses() {
    return true;
  }

  @Override
  HeadNorms headNorms(Header header, int layer) {
    return HeadNorms.EACH_OWN;
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return AROUND_MIXER;
  }

  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return AROUND_MLP;
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    Block mixer =
        header.hasKvHeads(layer) ? attention(header, layer, context) : selectiveStateSpace(header);
    return List.of(mixer, feedForward(header, layer));
  }

  private static SelectiveStateSpace selectiveStateSpace(Header header) {
    int inner = header.columns("ssm.inner_size");
    int heads = header.heads("ssm.time_step_rank");
    int state = header.columns("ssm.state_size");
    if (inner % heads != 0) {
      throw header.wrong(
          "ssm.time_step_rank", "%d heads do not share %d channels evenly".formatted(heads, inner));
    }
    if (2L * inner > Header.MOST_COLUMNS || (long) inner / heads * state > Header.MOST_COLUMNS) {
      throw header.wrong(
          "ssm.state_size", "%d numbers are too many for %d heads".formatted(state, heads));
    }
    return new SelectiveStateSpace(
        AROUND_MIXER,
        header.width(),
        inner,
        heads,
        state,
        Math.max(64, header.width() / 16),
        header.taps("ssm.conv_kernel"));
  }
}
