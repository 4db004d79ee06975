package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Block;
import dev.knapsack.model.Dense;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.Norms;
import dev.knapsack.model.StreamNorm;
import dev.knapsack.model.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Jina Embeddings v2: BERT whose scores fall with distance (Günther et al., arXiv 2310.19923), and
 * gated MLPs. Of its two kinds, that for code and its relatives have norms of queries and keys and
 * one norm more after attention, and the gates' rows last.
 */
final class JinaBertV2 extends Encoder {
  private static final String SECOND_NORM = "attn_norm_2.weight";

  private static boolean hasSecondNorm(Header header, int layer) {
    return header.hasTensor(WeightLayout.name(layer, SECOND_NORM));
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return null;
  }

  @Override
  boolean leans() {
    return true;
  }

  @Override
  List<StreamNorm> afterAttention(Header header, int layer) {
    List<StreamNorm> norms = new ArrayList<>(super.afterAttention(header, layer));
    if (hasSecondNorm(header, layer)) {
      norms.add(new StreamNorm(SECOND_NORM, header.width(), true));
    }
    return norms;
  }

  @Override
  Block feedForward(Header header, int layer) {
    Dense dense = dense(header, layer, Norms.NONE);
    return new Dense(
        dense.norms(),
        dense.width(),
        dense.hidden(),
        dense.function(),
        dense.kind(),
        hasSecondNorm(header, layer));
  }

  @Override
  boolean fuses(Block block) {
    return block instanceof Dense;
  }

  /** One row over the first token, and nothing between. */
  @Override
  Encoding ranking(Header header) {
    return new Encoding(
        Encoding.Pooling.FIRST,
        List.of(new Encoding.Dense("cls", header.width(), header.labels())),
        true);
  }
}
