package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.NanoEmbedder;
import dev.knapsack.model.Norms;
import dev.knapsack.model.Parallel;
import dev.knapsack.model.Replacement;
import dev.knapsack.model.TextConvolution;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * EmbBERT (Bravin et al., arXiv 2502.10001), an encoder: attention to rows as they are, less a
 * convolution, in place of what each layer got, and an embedding by way of few numbers.
 */
final class EmbBert extends Family {
  @Override
  List<Block> opening(Header header) {
    return List.of(
        new NanoEmbedder(
            header.width(),
            header.columns("embedding_rank"),
            header.context(),
            header.optionalCount("separator_token_id")));
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    int width = header.width();
    Attention attention = attention(header, layer, context);
    if (attention.keyColumns() != width || attention.valueColumns() != width) {
      throw header.wrong(
          "attention.head_count_kv",
          "%d keys of %d numbers and values of %d must be as wide as the model, %d, together"
              .formatted(attention.kvHeads(), attention.keySize(), attention.valueSize(), width));
    }
    Block convolution = new TextConvolution(Norms.NONE, width, header.taps("conv_kernel"));
    return List.of(
        new Replacement(new Parallel(BEFORE_MIXER, width, List.of(attention, convolution), true)));
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return Norms.NONE;
  }

  @Override
  Attention.Values values(Header header, int layer) {
    return Attention.Values.ROWS;
  }

  @Override
  Attention.Source source(Header header, int layer) {
    return Attention.Source.ROWS;
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return null;
  }

  @Override
  @Nullable String outputNorm() {
    return null;
  }
}
