package dev.knapsack.model.arch;

import dev.knapsack.model.Encoding;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** EmbeddingGemma: Gemma 3 whose tokens all see each other, with two layers after pooling. */
final class GemmaEmbedding extends Gemma3 {
  @Override
  boolean causal() {
    return false;
  }

  @Override
  Encoding encoding(Header header) {
    return Objects.requireNonNullElseGet(
        super.encoding(header), () -> new Encoding(Encoding.Pooling.NONE, head(header), false));
  }

  @Override
  List<Encoding.Step> head(Header header) {
    List<Encoding.Step> head = new ArrayList<>();
    int width = header.width();
    for (String name : List.of("dense_2", "dense_3")) {
      if (header.hasTensor(name + ".weight")) {
        int rows = header.rows(name + ".weight");
        head.add(new Encoding.Dense(name, width, rows));
        width = rows;
      }
    }
    return head;
  }
}
