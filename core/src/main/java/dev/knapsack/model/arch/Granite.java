package dev.knapsack.model.arch;

/** Granite 3: Llama with factors on the embedding, the scores, each sublayer and the logits. */
final class Granite extends Llama {
  @Override
  float embeddingScale(Header header) {
    return header.positive("embedding_scale", 1);
  }

  @Override
  float residualScale(Header header) {
    return header.positive("residual_scale", 1);
  }

  @Override
  float logitScale(Header header) {
    return 1 / header.positive("logit_scale", 1);
  }
}
