package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.HeadNorms;
import dev.knapsack.model.Norms;
import dev.knapsack.model.PlaceEmbeddings;
import dev.knapsack.model.StreamNorm;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The common traits of BERT and what came of it: all tokens of a text see each other, and layer
 * norms stand after what is added to the residual stream.
 */
abstract class Encoder extends Family {
  private static final String TYPES = "token_types.weight";

  @Override
  boolean causal() {
    return false;
  }

  @Override
  boolean centredNorms() {
    return true;
  }

  /** A file that names no way to pool gives the rows themselves. */
  @Override
  Encoding encoding(Header header) {
    Encoding named = super.encoding(header);
    return Objects.requireNonNullElseGet(
        named, () -> new Encoding(Encoding.Pooling.NONE, head(header), false));
  }

  /** Rows for positions; 0 where they are not learned. */
  int positions(Header header) {
    return 0;
  }

  /** The token after the first of which a pair's second text is; -1 where all is of one part. */
  int separator(Header header) {
    return -1;
  }

  @Override
  List<Block> opening(Header header) {
    int types = header.hasTensor(TYPES) ? header.rows(TYPES) : 0;
    return List.of(
        new PlaceEmbeddings(header.width(), positions(header), types, separator(header)),
        new StreamNorm("token_embd_norm.weight", header.width(), false));
  }

  @Override
  @Nullable String outputNorm() {
    return null;
  }

  @Override
  Norms attentionNorms(Header header, int layer) {
    return Norms.NONE;
  }

  @Override
  Norms feedForwardNorms(Header header, int layer) {
    return Norms.NONE;
  }

  /** The norms of the stream after attention, in order. */
  List<StreamNorm> afterAttention(Header header, int layer) {
    return List.of(new StreamNorm("attn_output_norm.weight", header.width(), false));
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    List<Block> blocks = new ArrayList<>();
    Attention attention = attention(header, layer, context);
    blocks.add(attention);
    blocks.addAll(afterAttention(header, layer));
    blocks.add(feedForward(header, layer));
    blocks.add(new StreamNorm("layer_output_norm.weight", header.width(), false));
    return blocks;
  }

  @Override
  Activation activation() {
    return Activation.GELU_ERF;
  }

  @Override
  HeadNorms headNorms(Header header, int layer) {
    return HeadNorms.CENTRED;
  }

  @Override
  Set<String> requiredTensors() {
    return Set.of("attn_output_norm.bias", "layer_output_norm.bias");
  }
}
