package dev.knapsack.model.arch;

/** Granite 3: Llama with factors on the embedding, the scores, each sublayer and the logits. */
class Granite extends Llama {
  @Override
  float embeddingScale(Header header) {
    return factor(header, "embedding_scale");
  }

  @Override
  float residualScale(Header header) {
    return factor(header, "residual_scale");
  }

  @Override
  float logitScale(Header header) {
    return 1 / factor(header, "logit_scale");
  }

  /** Files write 0 for none, too. */
  private static float factor(Header header, String key) {
    float given = header.optional(key, 1);
    return given == 0 ? 1 : given;
  }
}
