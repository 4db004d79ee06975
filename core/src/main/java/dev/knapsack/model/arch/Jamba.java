package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Block;
import dev.knapsack.model.SelectiveScan.Selection;
import dev.knapsack.model.WeightLayout;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Jamba: attention in the layers that have key and value heads, selective scans in the others, and
 * experts in some; nothing is rotated.
 */
final class Jamba extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_conv1d.bias", "ssm_dt.bias");
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return null;
  }

  @Override
  boolean normaliseExperts() {
    return false;
  }

  @Override
  boolean hasExperts(Header header, int layer) {
    return header.hasTensor(WeightLayout.name(layer, "ffn_gate_inp.weight"));
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    Block mixer =
        header.hasKvHeads(layer)
            ? attention(header, layer, context)
            : Mamba.selectiveScan(header, BEFORE_MIXER, Selection.NORMED_BY_FACTORS);
    return List.of(mixer, feedForward(header, layer));
  }
}
