package dev.knapsack.model.arch;

import dev.knapsack.model.QueryScale;
import org.jspecify.annotations.Nullable;

/** Mistral 3 and Ministral 3: Llama with YaRN, and attention temperature by position. */
final class Mistral3 extends Llama {
  @Override
  @Nullable QueryScale queryScale(Header header, int layer) {
    float slope = header.optional("attention.temperature_scale", 0);
    if (slope == 0) {
      return null;
    }
    int span =
        header.tokens(
            "attention.temperature_length",
            header.tokens("rope.scaling.original_context_length", 0));
    if (span == 0) {
      throw header.wrong(
          "attention.temperature_length",
          "is missing, and so is rope.scaling.original_context_length which stands in for it");
    }
    return new QueryScale(slope, span, 0);
  }
}
