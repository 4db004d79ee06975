package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Rope.Pairs;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.Mlp;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.QueryScale;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What models of one architecture have in common, read from a header. The methods here say what is
 * usual; a family overrides those where it differs.
 *
 * <p>Norms, biases and sinks are applied wherever their tensors are: a family only names those that
 * it cannot do without.
 */
abstract class Family {
  /** How the numbers of a head are paired by the rotary embedding, in GGUF files. */
  Pairs pairs() {
    return Pairs.HALF_SPLIT;
  }

  Activation activation() {
    return Activation.SILU;
  }

  /** Tensors of a layer, by suffix, that a file of this family must have beyond the usual. */
  Set<String> requiredTensors() {
    return Set.of();
  }

  @Nullable Rope rope(Header header, int layer, int context) {
    return Ropes.read(header, pairs(), header.keySize(layer), context);
  }

  /** Tokens of the sliding window of a file that names none; 0 for none. */
  int usualWindow() {
    return 0;
  }

  /** Whether a layer has the sliding window, in a file that does not say which have it. */
  boolean usuallyWindowed(int layer) {
    return false;
  }

  final boolean windowed(Header header, int layer) {
    return header.layerFlag("attention.sliding_window_pattern", layer, usuallyWindowed(layer));
  }

  /** Sliding window of a layer in tokens; 0 for none. */
  private int window(Header header, int layer) {
    return windowed(header, layer) ? header.tokens("attention.sliding_window", usualWindow()) : 0;
  }

  float attentionScale(Header header, int layer) {
    float usual = (float) (1 / Math.sqrt(header.keySize(layer)));
    float given = header.optional("attention.scale", 0);
    return given == 0 ? usual : given;
  }

  float attentionSoftCap(Header header) {
    return 0;
  }

  @Nullable QueryScale queryScale(Header header) {
    return null;
  }

  Mlp mlp(Header header, int layer) {
    int width = header.columns("feed_forward_length", layer, 0);
    int count = header.optionalCount("expert_count");
    if (count == 0) {
      if (width == 0) {
        throw header.wrong("feed_forward_length", "is missing");
      }
      return new Mlp.Dense(width, activation());
    }
    return experts(header, count, width);
  }

  private Mlp.Experts experts(Header header, int count, int denseWidth) {
    int used = header.optionalCount("expert_used_count");
    if (used < 1 || used > count) {
      throw header.wrong(
          "expert_used_count",
          "must be between 1 and the number of experts %d, and is %d".formatted(count, used));
    }
    int named = header.optionalColumns("expert_feed_forward_length");
    int width = named == 0 ? usualExpertWidth(denseWidth, used) : named;
    if (width == 0) {
      throw header.wrong("expert_feed_forward_length", "is missing");
    }
    int shared = header.optionalColumns("expert_shared_feed_forward_length");
    return new Mlp.Experts(
        count,
        used,
        width,
        activation(),
        header.flag("expert_weights_norm", normaliseExperts()),
        softmaxOverChosen(),
        header.positive("expert_weights_scale", 1),
        shared == 0 ? usualSharedWidth(denseWidth) : shared);
  }

  /** Width of an expert, in a file that names that of a dense layer only. */
  int usualExpertWidth(int denseWidth, int used) {
    return denseWidth;
  }

  /** Width of the expert for every token, in a file that names none; 0 where there is none. */
  int usualSharedWidth(int denseWidth) {
    return 0;
  }

  /** Whether the weights of the chosen experts are divided by their sum. */
  boolean normaliseExperts() {
    return true;
  }

  /** Whether the router's softmax is over the chosen experts only. */
  boolean softmaxOverChosen() {
    return false;
  }

  float embeddingScale(Header header) {
    return 1;
  }

  float residualScale(Header header) {
    return 1;
  }

  /** Factor on the logits. */
  float logitScale(Header header) {
    return 1;
  }

  float logitSoftCap(Header header) {
    return 0;
  }

  /** The spec of a file whose header this is, with all tensors checked against it. */
  final ModelSpec spec(Header header, int context) {
    List<LayerSpec> layers = new ArrayList<>();
    for (int l = 0; l < header.layers(); l++) {
      layers.add(
          new LayerSpec(
              header.heads(l),
              header.kvHeads(l),
              header.keySize(l),
              header.valueSize(l),
              attentionScale(header, l),
              attentionSoftCap(header),
              window(header, l),
              rope(header, l, context),
              queryScale(header),
              mlp(header, l)));
    }
    ModelSpec spec =
        new ModelSpec(
            header.architecture(),
            header.name(),
            header.width(),
            header.rows("token_embd.weight"),
            header.context(),
            layers,
            header.positive("attention.layer_norm_rms_epsilon"),
            embeddingScale(header),
            residualScale(header),
            logitScale(header),
            logitSoftCap(header),
            !header.hasTensor("output.weight"));
    new TensorCheck(header.file(), spec, requiredTensors()).run();
    return spec;
  }
}
