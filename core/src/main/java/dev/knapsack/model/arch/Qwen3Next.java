package dev.knapsack.model.arch;

import dev.knapsack.model.DeltaRule;
import dev.knapsack.model.WeightLayout;

/** Qwen 3 Next: as Qwen 3.5 with experts; neighbouring heads have the same keys. */
final class Qwen3Next extends Qwen35 {
  @Override
  DeltaRule.Form form(Header header, int layer) {
    return header.hasTensor(WeightLayout.name(layer, "ssm_in.weight"))
        ? DeltaRule.Form.GROUPED_WHOLE
        : DeltaRule.Form.GROUPED;
  }
}
