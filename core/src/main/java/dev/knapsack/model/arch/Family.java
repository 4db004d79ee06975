package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.kernel.Rope.Pairs;
import dev.knapsack.model.Attention;
import dev.knapsack.model.Block;
import dev.knapsack.model.DeltaRule;
import dev.knapsack.model.Dense;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.Experts;
import dev.knapsack.model.Gating;
import dev.knapsack.model.HeadNorms;
import dev.knapsack.model.LatentAttention;
import dev.knapsack.model.LayerSpec;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Nonlinearity;
import dev.knapsack.model.Norms;
import dev.knapsack.model.QueryScale;
import dev.knapsack.model.StateSpace;
import dev.knapsack.model.TensorSpec;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.model.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The common traits of the models of one architecture, read from a header. The methods here say
 * what is usual; a family overrides those where it differs.
 *
 * <p>Norms, biases and sinks are applied wherever their tensors are: a family only names those that
 * it cannot do without.
 */
abstract class Family {
  static final Norms BEFORE_MIXER = new Norms("attn_norm.weight", null);
  static final String AFTER_ATTENTION = "post_attention_norm.weight";
  static final String AFTER_FEED_FORWARD = "post_ffw_norm.weight";

  /** The numbers of a head that the rotary embedding pairs, in GGUF files. */
  Pairs pairs() {
    return Pairs.HALF_SPLIT;
  }

  Activation activation() {
    return Activation.SILU;
  }

  /** The function of a layer's MLP, or of its experts. */
  Nonlinearity nonlinearity(Header header, int layer) {
    return new Nonlinearity.Gated(activation());
  }

  /** Tensors of a layer, by suffix, that a file of this family must have beyond the usual. */
  Set<String> requiredTensors() {
    return Set.of();
  }

  /** The same, where they depend on what the header says. */
  Set<String> requiredTensors(Header header) {
    return requiredTensors();
  }

  @Nullable Rope rope(Header header, int layer, int context) {
    return Ropes.read(header, pairs(), header.keySize(layer), context);
  }

  /** Tokens of the sliding window of a file that names none; 0 for none. */
  int usualWindow() {
    return 0;
  }

  /** Says whether a layer has the sliding window, in a file that does not say which have it. */
  boolean usuallyWindowed(int layer) {
    return false;
  }

  boolean windowed(Header header, int layer) {
    return header.layerFlag("attention.sliding_window_pattern", layer, usuallyWindowed(layer));
  }

  /**
   * Sliding window of a layer in tokens; 0 for none. Where tokens see those after them, files count
   * both sides together: half of it on each, and the token itself.
   */
  final int window(Header header, int layer) {
    int tokens =
        windowed(header, layer) ? header.tokens("attention.sliding_window", usualWindow()) : 0;
    return tokens > 0 && source(header, layer).equals(Attention.Source.ROWS)
        ? tokens / 2 + 1
        : tokens;
  }

  /**
   * Says whether a layer is rotated where those with a window alone are, or all if none has one.
   */
  final boolean isRotated(Header header, int layer) {
    return windowed(header, layer) || header.tokens("attention.sliding_window", usualWindow()) == 0;
  }

  /** Says whether windows do not slide: tokens see those of their chunk. */
  boolean chunked() {
    return false;
  }

  float attentionScale(Header header, int layer) {
    float usual = (float) (1 / Math.sqrt(header.keySize(layer)));
    float given = header.optional("attention.scale", 0);
    return given == 0 ? usual : given;
  }

  float attentionSoftCap(Header header) {
    return 0;
  }

  /** Says whether it denoises texts whose tokens all see each other, in place of going on. */
  boolean denoises() {
    return false;
  }

  /** Says whether a token of a text sees only those up to itself, in a file that does not say. */
  boolean causal() {
    return true;
  }

  /** The way to vectors or scores; null of a file that is to write. */
  @Nullable Encoding encoding(Header header) {
    return switch (header.pooling()) {
      case 1 -> new Encoding(Encoding.Pooling.MEAN, head(header), false);
      case 2 -> new Encoding(Encoding.Pooling.FIRST, head(header), false);
      case 3 -> new Encoding(Encoding.Pooling.LAST, head(header), false);
      case 4 -> ranking(header);
      default -> null;
    };
  }

  /** The steps after pooling. */
  List<Encoding.Step> head(Header header) {
    return List.of();
  }

  /** The way to the scores of a pair of texts: the share of the first of several answers. */
  Encoding ranking(Header header) {
    return new Encoding(
        Encoding.Pooling.LAST,
        List.of(
            new Encoding.Dense("cls.output", header.width(), header.labels()),
            new Encoding.Shares()),
        true);
  }

  /** Tokens of the longest text. */
  int context(Header header) {
    return header.context();
  }

  /** Says whether scores fall with distance, head by head. */
  boolean leans() {
    return false;
  }

  @Nullable QueryScale queryScale(Header header, int layer) {
    return null;
  }

  HeadNorms headNorms(Header header, int layer) {
    return HeadNorms.EACH;
  }

  /** Says whether each query head has a gate beside it. */
  boolean gatesAttention() {
    return false;
  }

  /** The blocks before the first layer. */
  List<Block> opening(Header header) {
    return List.of();
  }

  /** The blocks after the last layer. */
  List<Block> closing(Header header) {
    return List.of();
  }

  /** The blocks of a layer, in the order in which they are computed. */
  List<Block> blocks(Header header, int layer, int context) {
    return List.of(attention(header, layer, context), feedForward(header, layer));
  }

  int keySize(Header header, int layer) {
    return header.keySize(layer);
  }

  int valueSize(Header header, int layer) {
    return header.valueSize(layer);
  }

  Attention.Values values(Header header, int layer) {
    return Attention.Values.PROJECTED;
  }

  /** Bits by which queries, keys and values are looked up; 0 where they are projections. */
  int hashBits(Header header) {
    return 0;
  }

  /** The place that a layer's keys and values come from. */
  Attention.Source source(Header header, int layer) {
    if (denoises()) {
      return Attention.Source.ROWS;
    }
    return encoding(header) == null
        ? Attention.Source.CACHE
        : new Attention.Source.Rows(!header.flag("attention.causal", causal()));
  }

  final Attention attention(Header header, int layer, int context) {
    return new Attention(
        attentionNorms(header, layer),
        header.width(),
        header.heads(layer),
        header.kvHeads(layer),
        keySize(header, layer),
        valueSize(header, layer),
        gatesAttention(),
        attentionScale(header, layer),
        attentionSoftCap(header),
        window(header, layer),
        chunked(),
        rope(header, layer, context),
        leans() ? new Attention.Slopes(header.heads(layer)) : null,
        queryScale(header, layer),
        headNorms(header, layer),
        source(header, layer),
        values(header, layer),
        hashBits(header));
  }

  /**
   * Attention whose keys and values are projections of few numbers.
   *
   * @param rope null for none
   */
  final LatentAttention latentAttention(Header header, int layer, @Nullable Rope rope) {
    int rotated = header.columns("rope.dimension_count");
    int keySize = header.latentKeySize(layer);
    if (rotated >= keySize) {
      throw header.wrong(
          "rope.dimension_count",
          "must be below the numbers of a key %d, and is %d".formatted(keySize, rotated));
    }
    return new LatentAttention(
        attentionNorms(header, layer),
        header.width(),
        header.heads(layer),
        header.optionalColumns("attention.q_lora_rank"),
        header.latentContent(layer),
        keySize - rotated,
        rotated,
        header.latentValueSize(layer),
        attentionScale(header, layer),
        rope,
        header.hasTensor(WeightLayout.name(layer, LatentAttention.TO_BOTH))
            && !header.hasTensor(WeightLayout.name(layer, LatentAttention.TO_KEYS)));
  }

  /** A state space of the second kind. */
  final StateSpace stateSpace(Header header, Norms norms) {
    int inner = header.columns("ssm.inner_size");
    int heads = header.heads("ssm.time_step_rank");
    int groups = header.heads("ssm.group_count");
    int state = header.columns("ssm.state_size");
    if (inner % heads != 0 || heads % groups != 0) {
      throw header.wrong(
          "ssm.time_step_rank",
          "%d heads share neither %d channels nor %d groups evenly"
              .formatted(heads, inner, groups));
    }
    if (2L * groups * state + inner > Header.MOST_COLUMNS
        || (long) inner / heads * state > Header.MOST_COLUMNS) {
      throw header.wrong(
          "ssm.state_size", "%d numbers are too many for %d heads".formatted(state, heads));
    }
    return new StateSpace(
        norms, header.width(), inner, heads, state, groups, header.taps("ssm.conv_kernel"));
  }

  /** Linear attention by the delta rule. */
  final DeltaRule deltaRule(
      Header header,
      int layer,
      int keyHeads,
      int heads,
      int keySize,
      int valueSize,
      DeltaRule.Form form) {
    if (heads % keyHeads != 0) {
      throw header.wrong(
          "ssm.group_count",
          "%d heads cannot share the keys of %d evenly".formatted(heads, keyHeads));
    }
    if (2 * ((long) keyHeads * keySize + (long) heads * valueSize) > Header.MOST_COLUMNS
        || (long) keySize * valueSize > Header.MOST_COLUMNS) {
      throw header.wrong(
          "ssm.state_size",
          "%d numbers are too many for %d heads of %d".formatted(keySize, heads, valueSize));
    }
    return new DeltaRule(
        attentionNorms(header, layer),
        header.width(),
        keyHeads,
        heads,
        keySize,
        valueSize,
        header.taps("ssm.conv_kernel"),
        form);
  }

  Norms attentionNorms(Header header, int layer) {
    boolean named = AFTER_ATTENTION.equals(feedForwardNorm(header, layer));
    return new Norms("attn_norm.weight", named ? null : AFTER_ATTENTION);
  }

  Norms feedForwardNorms(Header header, int layer) {
    return new Norms(feedForwardNorm(header, layer), AFTER_FEED_FORWARD);
  }

  /** The norm before the MLP: some files name it after what it follows. */
  String feedForwardNorm(Header header, int layer) {
    return header.hasTensor(WeightLayout.name(layer, AFTER_ATTENTION))
            && !header.hasTensor(WeightLayout.name(layer, "ffn_norm.weight"))
        ? AFTER_ATTENTION
        : "ffn_norm.weight";
  }

  Block feedForward(Header header, int layer) {
    Norms norms = feedForwardNorms(header, layer);
    return hasExperts(header, layer) ? experts(header, layer, norms) : dense(header, layer, norms);
  }

  final Dense dense(Header header, int layer, Norms norms) {
    int hidden = header.columns("feed_forward_length", layer, 0);
    if (hidden == 0) {
      throw header.wrong("feed_forward_length", "is missing");
    }
    return new Dense(norms, header.width(), hidden, nonlinearity(header, layer), "");
  }

  /** Says whether a layer has experts. */
  boolean hasExperts(Header header, int layer) {
    int step =
        header.has("interleave_moe_layer_step")
            ? header.optionalCount("interleave_moe_layer_step")
            : 1;
    return header.optionalCount("expert_count") > 0
        && layer >= header.optionalCount("leading_dense_block_count")
        && step > 0
        && (layer + 1) % step == 0;
  }

  final Experts experts(Header header, int layer, Norms norms) {
    int denseWidth = header.columns("feed_forward_length", layer, 0);
    int count = header.optionalCount("expert_count");
    int used = header.optionalCount("expert_used_count", layer);
    if (used < 1 || used > count) {
      throw header.wrong(
          "expert_used_count",
          "must be between 1 and the number of experts %d, and is %d".formatted(count, used));
    }
    int named = header.optionalColumns("expert_feed_forward_length", layer);
    int hidden = named == 0 ? usualExpertWidth(denseWidth, used) : named;
    if (hidden == 0) {
      throw header.wrong("expert_feed_forward_length", "is missing");
    }
    int given = header.optionalColumns("expert_shared_feed_forward_length");
    int shared = given == 0 ? usualSharedWidth(header, denseWidth, hidden) : given;
    Nonlinearity function = nonlinearity(header, layer);
    return new Experts(
        norms,
        header.width(),
        count,
        used,
        hidden,
        function,
        gating(header, count, used),
        header.optionalColumns("moe_latent_size"),
        routed(),
        shared == 0 ? null : new Dense(Norms.NONE, header.width(), shared, function, "_shexp"));
  }

  private Gating gating(Header header, int count, int used) {
    int groups = Math.max(1, header.optionalCount("expert_group_count"));
    int usedGroups = groups == 1 ? 1 : header.optionalCount("expert_group_used_count");
    if (count % groups != 0) {
      throw header.wrong(
          "expert_group_count", "%d experts are no %d groups of a size".formatted(count, groups));
    }
    if (usedGroups < 1 || usedGroups > groups || used > count / groups * usedGroups) {
      throw header.wrong(
          "expert_group_used_count",
          "must be between 1 and the number of groups %d, and enough for %d experts; it is %d"
              .formatted(groups, used, usedGroups));
    }
    return new Gating(
        gatingFunction(header),
        header.flag("expert_weights_norm", normaliseExperts()),
        header.positive("expert_weights_scale", 1),
        groups,
        usedGroups,
        weighsInputs());
  }

  final Gating.Function gatingFunction(Header header) {
    int number = header.optionalCount("expert_gating_func");
    return switch (number) {
      case 0 -> usualGating();
      case 1 -> Gating.Function.SOFTMAX;
      case 2 -> Gating.Function.SIGMOID;
      case 3 -> Gating.Function.SOFTMAX_OF_CHOSEN;
      default ->
          throw header.wrong(
              "expert_gating_func",
              number
                  + " is not known; supported are 1 (softmax), 2 (sigmoid) and 3 (softmax over the"
                  + " chosen experts)");
    };
  }

  /** Width of an expert, in a file that names that of a dense layer only. */
  int usualExpertWidth(int denseWidth, int used) {
    return denseWidth;
  }

  /** Width of the expert for every token, in a file that names none; 0 where there is none. */
  int usualSharedWidth(Header header, int denseWidth, int expertWidth) {
    long width = (long) header.optionalCount("expert_shared_count") * expertWidth;
    if (width > Header.MOST_COLUMNS) {
      throw header.wrong(
          "expert_shared_count", "%,d numbers in a layer are too many".formatted(width));
    }
    return (int) width;
  }

  /** Says whether the weights of the chosen experts are divided by their sum. */
  boolean normaliseExperts() {
    return true;
  }

  /** The function that makes weights of a router's logits, in a file that names none. */
  Gating.Function usualGating() {
    return Gating.Function.SOFTMAX;
  }

  /** Says whether experts' weights are factors on what they read, in place of their results. */
  boolean weighsInputs() {
    return false;
  }

  /** The rows that the router of experts reads. */
  Experts.Routed routed() {
    return Experts.Routed.INPUT;
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

  /** Says whether norms take the mean away first, and so are no RMS norms. */
  boolean centredNorms() {
    return false;
  }

  /** The tensor that the factors of the token embedding's norm are in; null for none. */
  @Nullable String embeddingNorm() {
    return null;
  }

  /** The tensor that the last norm's factors are in; null for none. */
  @Nullable String outputNorm() {
    return "output_norm.weight";
  }

  /**
   * Says whether files hold the matrices of a block in one tensor, where they may: queries, keys
   * and values, or gate and up. They are read in either form.
   */
  boolean fuses(Block block) {
    return false;
  }

  /** The spec of a file whose header this is, with all tensors checked against it. */
  final ModelSpec spec(Header header, int context) {
    ModelSpec spec =
        new ModelSpec(
            header.architecture(),
            header.name(),
            header.width(),
            header.vocabulary(),
            context(header),
            layers(header, context),
            centredNorms(),
            header.positive(
                centredNorms()
                    ? "attention.layer_norm_epsilon"
                    : "attention.layer_norm_rms_epsilon"),
            embeddingScale(header),
            residualScale(header),
            logitScale(header),
            logitSoftCap(header),
            embeddingNorm(),
            outputNorm(),
            !header.hasTensor(ModelSpec.OUTPUT),
            denoises() ? header.diffusion() : null,
            encoding(header),
            opening(header),
            closing(header));
    if (spec.encoding() != null && !spec.readsOnlyTexts()) {
      throw header.wrong(
          "pooling_type",
          "asks for vectors of texts, and some layers of this architecture carry something from"
              + " step to step");
    }
    new TensorCheck(header.file(), spec, requiredTensors(header)).run();
    return spec;
  }

  private List<LayerSpec> layers(Header header, int context) {
    List<LayerSpec> layers = new ArrayList<>();
    for (int l = 0; l < header.layers(); l++) {
      layers.add(new LayerSpec(blocks(header, l, context)));
    }
    return layers;
  }

  /** The tensors that a file of this family has at the least. */
  final List<TensorSpec> tensors(Header header) {
    List<TensorSpec> all = new ArrayList<>();
    if (embeddingNorm() != null) {
      all.add(new TensorSpec(embeddingNorm(), Role.NORM, header.width()));
    }
    if (outputNorm() != null) {
      all.add(new TensorSpec(outputNorm(), Role.NORM, header.width()));
    }
    opening(header).forEach(block -> all.addAll(block.tensors()));
    closing(header).forEach(block -> all.addAll(block.tensors()));
    Encoding encoding = encoding(header);
    if (encoding != null) {
      all.addAll(encoding.tensors());
    }
    List<LayerSpec> layers = layers(header, context(header));
    for (int l = 0; l < layers.size(); l++) {
      for (Block block : layers.get(l).blocks()) {
        for (TensorSpec tensor : least(block, requiredTensors(header))) {
          all.add(tensor.named(WeightLayout.name(l, tensor.name())));
        }
      }
    }
    return all;
  }

  private List<TensorSpec> least(Block block, Set<String> required) {
    List<TensorSpec> tensors = block.tensors();
    List<TensorSpec> least = new ArrayList<>();
    Map<String, TensorSpec> wholes = TensorSpec.fused(tensors);
    for (TensorSpec tensor : tensors) {
      if (!tensor.optional() || required.contains(tensor.name())) {
        TensorSpec whole = fuses(block) ? wholes.get(tensor.fused()) : null;
        if (whole == null) {
          least.add(tensor);
        } else if (!least.contains(whole)) {
          least.add(whole);
        }
      }
    }
    return least;
  }
}
