package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.RetentionGates;
import dev.knapsack.kernel.KernelLimits;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Format;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model's shape, from its header alone: all that planning, caching and computing need to know
 * about it.
 *
 * @param family the architecture as GGUF names it: {@code llama}, {@code qwen3moe}
 * @param name the model's own name, for people
 * @param width numbers in a token's hidden state ({@code embedding_length})
 * @param vocabulary tokens, rows of the output projection
 * @param context tokens the model was trained to handle
 * @param layers one entry a layer
 * @param centredNorms whether norms take the mean away first, and so are no RMS norms
 * @param normEpsilon ε of the norms
 * @param embeddingScale factor on the token embedding, 1 for none
 * @param residualScale factor on what each sublayer adds, 1 for none
 * @param logitScale factor on the logits, 1 for none
 * @param logitSoftCap logits become {@code cap · tanh(logit / cap)}; 0 for none
 * @param embeddingNorm the tensor that the factors of the token embedding's norm are in; null for
 *     none
 * @param outputNorm the tensor that the last norm's factors are in; null for none
 * @param tiedOutput whether the output projection is the token embedding
 * @param diffusion the way in which it denoises texts; null where it writes token by token
 * @param encoding how it makes vectors or scores of texts; null where it writes
 * @param opening blocks before the first layer, with tensors outside of all layers
 * @param closing blocks after the last layer, likewise
 */
public record ModelSpec(
    String family,
    String name,
    int width,
    int vocabulary,
    int context,
    List<LayerSpec> layers,
    boolean centredNorms,
    float normEpsilon,
    float embeddingScale,
    float residualScale,
    float logitScale,
    float logitSoftCap,
    @Nullable String embeddingNorm,
    @Nullable String outputNorm,
    boolean tiedOutput,
    @Nullable Diffusion diffusion,
    @Nullable Encoding encoding,
    List<Block> opening,
    List<Block> closing) {
  /** The same with another way to vectors. */
  public ModelSpec withEncoding(@Nullable Encoding value) {
    return new ModelSpec(
        family,
        name,
        width,
        vocabulary,
        context,
        layers,
        centredNorms,
        normEpsilon,
        embeddingScale,
        residualScale,
        logitScale,
        logitSoftCap,
        embeddingNorm,
        outputNorm,
        tiedOutput,
        diffusion,
        value,
        opening,
        closing);
  }

  /** The tensor that the token embeddings are in. */
  public static final String EMBEDDING = "token_embd.weight";

  public ModelSpec {
    layers = List.copyOf(layers);
    opening = List.copyOf(opening);
    closing = List.copyOf(closing);
  }

  /** The tensor that the output projection is in, where it is not the token embedding. */
  public static final String OUTPUT = "output.weight";

  /** The tensor that the output projection is in; null where it writes nothing. */
  public @Nullable String outputTensor() {
    return encoding != null ? null : tiedOutput ? EMBEDDING : OUTPUT;
  }

  /** Numbers in a row of the token embedding, and of the output projection. */
  public int embeddingColumns() {
    for (Block block : opening) {
      if (block instanceof NanoEmbedder embedder) {
        return embedder.rank();
      }
    }
    return width;
  }

  /** The blocks before the first layer and after the last. */
  List<Block> outside() {
    return Stream.concat(opening.stream(), closing.stream()).toList();
  }

  /** Numbers that a token has in slots that live as long as the residual stream. */
  Map<Slot, Integer> lasting() {
    Map<Slot, Integer> lasting = new EnumMap<>(Slot.class);
    Stream.concat(outside().stream(), layers.stream().flatMap(layer -> layer.blocks().stream()))
        .forEach(block -> block.lasting().forEach((slot, n) -> lasting.merge(slot, n, Math::max)));
    return lasting;
  }

  /** The tensors outside the layers that a step computes with. */
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    tensors.add(new TensorSpec(EMBEDDING, Role.EMBEDDING, embeddingColumns(), vocabulary));
    if (encoding != null) {
      tensors.addAll(encoding.tensors());
    } else if (!tiedOutput) {
      tensors.add(new TensorSpec(OUTPUT, Role.OUTPUT, embeddingColumns(), vocabulary));
    }
    if (embeddingNorm != null) {
      tensors.addAll(Norm.tensors(embeddingNorm, width));
    }
    if (outputNorm != null) {
      tensors.addAll(Norm.tensors(outputNorm, width));
    }
    outside().forEach(block -> tensors.addAll(block.tensors()));
    return tensors;
  }

  /** The largest work that a step of {@code tokens} tokens asks of the kernels. */
  public KernelLimits limits(int tokens, KvLayout cache) {
    int columns = width;
    int heads = 1;
    int group = 1;
    int head = 1;
    for (LayerLayout.Heads layer : cache.heads()) {
      head = Math.max(head, Math.max(layer.keySize(), layer.valueSize()));
    }
    columns =
        Math.max(columns, cache.policy().observer().gates().map(RetentionGates::hidden).orElse(0));
    if (encoding != null) {
      columns = Math.max(columns, encoding.widest(width));
    }
    for (Block block : outside()) {
      columns = Math.max(columns, block.widest());
    }
    for (LayerSpec layer : layers) {
      for (Block block : layer.parts()) {
        columns = Math.max(columns, block.widest());
        if (block instanceof Attention attention) {
          heads = Math.max(heads, attention.heads());
          group = Math.max(group, attention.heads() / attention.kvHeads());
          head = Math.max(head, Math.max(attention.keySize(), attention.valueSize()));
        } else if (block instanceof LatentAttention attention) {
          heads = Math.max(heads, attention.heads());
          group = Math.max(group, attention.heads());
        }
      }
    }
    return new KernelLimits(tokens, columns, heads, group, head);
  }

  /** Says whether a layer caches rows that are keys and hold their values. */
  public boolean cachesLatents() {
    return layers.stream().anyMatch(layer -> layer.remembers() instanceof LayerLayout.Latent);
  }

  /**
   * Says whether its tokens see the rows of a step alone, so that a text is computed in one step,
   * whole, and nothing is cached.
   */
  public boolean readsWholeTexts() {
    return layers.stream().anyMatch(LayerSpec::readsRows);
  }

  /** Says whether no layer remembers anything: all that a token sees are rows of its step. */
  public boolean readsOnlyTexts() {
    return layers.stream().allMatch(layer -> layer.remembers() instanceof LayerLayout.None);
  }

  /**
   * The most rows of logits, or of an encoder's results, that a step for answers is asked for.
   *
   * @param tokens tokens of the step
   * @param sequences answers that are written at once
   */
  public int logitRows(int tokens, int sequences) {
    return encoding != null
        ? tokens
        : diffusion == null ? sequences : (int) Math.min(tokens, (long) sequences * Diffusion.ROWS);
  }

  /** The layout of a sequence's cache that is stored so; throws as the next. */
  public KvLayout kvLayout(KvFormat format) {
    return kvLayout(format.keys(), format.values(), format.sketch())
        .withRecent(format.recent())
        .withTransform(format.transform());
  }

  /**
   * The layout of a sequence's cache in these formats.
   *
   * @throws IllegalArgumentException if the heads are no whole blocks of a format, or hold their
   *     values and these are to be in another
   */
  public KvLayout kvLayout(Format keyFormat, Format valueFormat) {
    return kvLayout(keyFormat, valueFormat, 0);
  }

  private KvLayout kvLayout(Format keyFormat, Format valueFormat, int sketch) {
    if (sketch > 0 && cachesLatents()) {
      throw new IllegalArgumentException(
          "%s caches keys that hold their values: they cannot be sketched. F16 fits."
              .formatted(name));
    }
    return new KvLayout(
        layers.stream().map(layer -> layer.remembers().sketched(sketch)).toList(),
        keyFormat,
        valueFormat);
  }
}
