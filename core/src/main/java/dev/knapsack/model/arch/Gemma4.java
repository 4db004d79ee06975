package dev.knapsack.model.arch;

import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.Experts;
import dev.knapsack.model.Norms;
import dev.knapsack.model.Parallel;
import dev.knapsack.model.PerLayerInput;
import dev.knapsack.model.PerLayerInputs;
import dev.knapsack.model.Scale;
import dev.knapsack.model.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Gemma 4: layers with a sliding window have heads and rotary embeddings of their own sizes, the
 * last ones read what earlier ones have cached, each layer may have inputs of its own, and experts
 * stand beside a dense MLP.
 */
class Gemma4 extends Gemma2 {
  private static final String PATTERN = "attention.sliding_window_pattern";
  private static final String SHARED = "attention.shared_kv_layers";

  @Override
  Set<String> requiredTensors() {
    return Set.of(
        "attn_q_norm.weight",
        "attn_k_norm.weight",
        "ffn_norm.weight",
        "post_attention_norm.weight",
        "post_ffw_norm.weight",
        "post_norm.weight",
        "post_ffw_norm_1.weight",
        "post_ffw_norm_2.weight",
        "ffn_down_exps.scale");
  }

  @Override
  int usualWindow() {
    return 0;
  }

  @Override
  int keySize(Header header, int layer) {
    return headSize(header, "attention.key_length", layer);
  }

  @Override
  int valueSize(Header header, int layer) {
    return headSize(header, "attention.value_length", layer);
  }

  private int headSize(Header header, String key, int layer) {
    boolean own = windowed(header, layer) && header.has(key + "_swa");
    return header.headSize(own ? key + "_swa" : key, layer);
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    if (!windowed(header, layer)) {
      return Ropes.read(header, pairs(), keySize(header, layer), context);
    }
    boolean own = header.has("rope.dimension_count_swa");
    return Ropes.plain(
        header,
        pairs(),
        own ? "rope.dimension_count_swa" : "rope.dimension_count",
        keySize(header, layer),
        header.positive("rope.freq_base_swa", 10_000));
  }

  @Override
  float attentionScale(Header header, int layer) {
    return 1;
  }

  @Override
  float attentionSoftCap(Header header) {
    return 0;
  }

  @Override
  float logitSoftCap(Header header) {
    return header.optional("final_logit_softcapping", 0);
  }

  /** A layer that has keys and no values makes these of the keys. */
  @Override
  Attention.Values values(Header header, int layer) {
    boolean keys =
        header.hasTensor(WeightLayout.name(layer, "attn_k.weight"))
            && !header.hasTensor(WeightLayout.name(layer, "attn_v.weight"));
    if (keys && keySize(header, layer) != valueSize(header, layer)) {
      throw header.wrong(
          "attention.value_length",
          "layer %d has no attn_v, so that values are keys, whose heads have %d numbers"
              .formatted(layer, keySize(header, layer)));
    }
    return keys ? Attention.Values.KEYS : Attention.Values.NORMED;
  }

  /** The last layers read what the last one of their kind before them has cached. */
  @Override
  Attention.Source source(Header header, int layer) {
    int own = header.layers() - header.optionalCount(SHARED);
    if (layer < own) {
      return Attention.Source.CACHE;
    }
    for (int l = own - 1; l >= 0; l--) {
      if (windowed(header, l) == windowed(header, layer)) {
        if (header.kvHeads(l) != header.kvHeads(layer)
            || keySize(header, l) != keySize(header, layer)
            || valueSize(header, l) != valueSize(header, layer)) {
          throw header.wrong(
              SHARED, "layers %d and %d cannot share different heads".formatted(l, layer));
        }
        return new Attention.Source.Earlier(l);
      }
    }
    throw header.wrong(
        SHARED, "no layer before %d has what layer %d is to read".formatted(own, layer));
  }

  @Override
  Experts.Routed routed() {
    return Experts.Routed.RESIDUAL;
  }

  /** Experts stand beside a dense MLP, each with norms of its own. */
  @Override
  Block feedForward(Header header, int layer) {
    if (!hasExperts(header, layer)) {
      return super.feedForward(header, layer);
    }
    Norms dense = new Norms("ffn_norm.weight", "post_ffw_norm_1.weight");
    Norms experts = new Norms("pre_ffw_norm_2.weight", "post_ffw_norm_2.weight");
    return new Parallel(
        new Norms(null, AFTER_FEED_FORWARD),
        header.width(),
        List.of(dense(header, layer, dense), experts(header, layer, experts)));
  }

  @Override
  List<Block> opening(Header header) {
    PerLayerInputs inputs = inputs(header);
    return inputs == null ? List.of() : List.of(inputs);
  }

  /** The inputs that tokens have for each layer; null for none. */
  final @Nullable PerLayerInputs inputs(Header header) {
    int size = header.optionalColumns("embedding_length_per_layer_input");
    if ((long) size * header.layers() > Header.MOST_COLUMNS) {
      throw header.wrong(
          "embedding_length_per_layer_input",
          "%d numbers are too many for %d layers".formatted(size, header.layers()));
    }
    return size == 0
        ? null
        : new PerLayerInputs(header.width(), header.vocabulary(), header.layers(), size);
  }

  /** The block that adds a layer's own inputs; null for none. */
  final @Nullable PerLayerInput input(Header header) {
    PerLayerInputs inputs = inputs(header);
    return inputs == null
        ? null
        : new PerLayerInput(new Norms(null, "post_norm.weight"), inputs, activation());
  }

  @Override
  final boolean windowed(Header header, int layer) {
    if (!header.has(PATTERN)) {
      throw header.wrong(PATTERN, "is missing: a flag for each layer, true with a sliding window");
    }
    return super.windowed(header, layer);
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    List<Block> blocks = new ArrayList<>(super.blocks(header, layer, context));
    PerLayerInput input = input(header);
    if (input != null) {
      blocks.add(input);
    }
    blocks.add(new Scale(header.width(), 1, "layer_output_scale.weight"));
    return blocks;
  }
}
