package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Block;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.Nonlinearity;
import dev.knapsack.model.Norms;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * ModernBERT (Warner et al., arXiv 2412.13663): norms before the blocks, but for the first, no
 * biases, and of every three layers one, the first, that sees everything; the others have a window
 * and a rotary embedding of their own base.
 */
final class ModernBert extends Encoder {
  private static final int PERIOD = 3;
  private static final String PATTERN = "attention.sliding_window_pattern";

  @Override
  List<Block> opening(Header header) {
    return List.of();
  }

  @Override
  @Nullable String embeddingNorm() {
    return "token_embd_norm.weight";
  }

  @Override
  @Nullable String outputNorm() {
    return "output_norm.weight";
  }

  @Override
  Set<String> requiredTensors() {
    return Set.of();
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(attention(header, layer, context), feedForward(header, layer));
  }

  /** The embedding's norm stands for that of the first layer. */
  @Override
  Norms attentionNorms(Header header, int layer) {
    return layer == 0 ? Norms.NONE : BEFORE_MIXER;
  }

  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return new Norms("ffn_norm.weight", null);
  }

  @Override
  boolean windowed(Header header, int layer) {
    return header.layerFlag(PATTERN, layer, PERIOD);
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return windowed(header, layer)
        ? Ropes.plain(
            header, pairs(), header.keySize(layer), header.positive("rope.freq_base_swa", 10_000))
        : super.rope(header, layer, context);
  }

  @Override
  Nonlinearity nonlinearity(Header header, int layer) {
    String named = header.text("hidden_activation", "gelu");
    return new Nonlinearity.Gated(
        switch (named) {
          case "gelu" -> Activation.GELU_ERF;
          case "silu" -> Activation.SILU;
          default ->
              throw header.wrong(
                  "hidden_activation", "'" + named + "' is not known; supported are gelu and silu");
        });
  }

  @Override
  boolean fuses(Block block) {
    return true;
  }

  /** A classifier over the mean of all tokens. */
  @Override
  Encoding ranking(Header header) {
    int width = header.width();
    return new Encoding(
        Encoding.Pooling.MEAN,
        List.of(
            new Encoding.Dense("cls", width, width),
            new Encoding.Apply(Activation.GELU_ERF),
            new Encoding.Normed("cls.norm", width),
            new Encoding.Dense("cls.output", width, header.labels())),
        true);
  }
}
