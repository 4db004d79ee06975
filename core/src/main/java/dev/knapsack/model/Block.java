package dev.knapsack.model;

import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A part of a layer that adds to the residual stream or changes it, with all that others have to
 * know of it: which tensors it has, what it needs of the workspace and what it costs. {@link
 * Transformer} computes it.
 */
public sealed interface Block
    permits AltUp,
        Attention,
        LatentAttention,
        ShortConvolution,
        TextConvolution,
        StateSpace,
        SelectiveStateSpace,
        SelectiveScan,
        ChannelScan,
        DeltaRule,
        MixtureOfMemories,
        EideticAttention,
        LinearGru,
        TimeMix,
        ChannelMix,
        Dense,
        Experts,
        Laurel,
        Parallel,
        PerLayerInput,
        PerLayerInputs,
        NgramMemory,
        MemoryMlp,
        NanoEmbedder,
        Scale,
        Replacement,
        EarlierOutputs,
        ValueEmbeddings,
        PlaceEmbeddings,
        StreamNorm {
  /** Those of what it reads and adds; none of a block that changes the residual stream itself. */
  default Norms norms() {
    return Norms.NONE;
  }

  /** Numbers in a row of the residual stream. */
  int width();

  /** The block's tensors and its norms', in the order of published files. */
  List<TensorSpec> tensors();

  /** Columns of the widest activations that a matrix of it multiplies. */
  int widest();

  /** The blocks that it is made of: itself, if of no others. */
  default List<Block> parts() {
    return List.of(this);
  }

  /** The part of its sequences that it remembers. */
  default LayerLayout remembers() {
    return new LayerLayout.None();
  }

  /** Says whether a token's result depends on other tokens of its sequence. */
  default boolean mixesTokens() {
    return !(remembers() instanceof LayerLayout.None);
  }

  /** Says whether it reads the residual stream as its layer got it, too. */
  default boolean readsLayerInput() {
    return false;
  }

  /**
   * Numbers of activations that a step of {@code tokens} tokens has in each slot.
   *
   * @param layer the block's layer in {@code cache}; -1 before the first
   */
  Map<Slot, Long> activations(int tokens, KvLayout cache, int layer);

  /**
   * Numbers that a token has in slots that live as long as the residual stream: blocks of several
   * layers, and those before the first, have them together.
   */
  default Map<Slot, Integer> lasting() {
    return Map.of();
  }

  /**
   * The work of a step beside products with the block's matrices.
   *
   * @param tokens tokens that the step takes
   * @param past tokens already cached
   */
  default Work work(KvFormat format, KvPolicy policy, int tokens, int past) {
    return Work.NONE;
  }

  /**
   * The block's weights, found in its layer's tensors.
   *
   * @param experts the layer's, if they are not among the tensors
   */
  Weights weights(LayerTensors tensors, @Nullable ExpertBank experts);

  /** The weights of a block. */
  sealed interface Weights permits Addend, Change {}

  /** The weights of a block whose result is added to the residual stream. */
  sealed interface Addend extends Weights
      permits Attention.Weights,
          LatentAttention.Weights,
          ShortConvolution.Weights,
          TextConvolution.Weights,
          StateSpace.Weights,
          SelectiveStateSpace.Weights,
          SelectiveScan.Weights,
          ChannelScan.Weights,
          TimeMix.Weights,
          ChannelMix.Weights,
          DeltaRule.Weights,
          MixtureOfMemories.Weights,
          EideticAttention.Weights,
          LinearGru.Weights,
          Dense.Weights,
          Experts.Weights,
          Laurel.Weights,
          Parallel.Weights,
          PerLayerInput.Weights,
          NgramMemory.Weights,
          MemoryMlp.Weights {
    Norms.Weights norms();
  }

  /** The weights of a block that changes the residual stream, or what goes beside it, itself. */
  sealed interface Change extends Weights
      permits AltUp.Weights,
          PerLayerInputs.Weights,
          NanoEmbedder.Weights,
          Scale.Weights,
          Replacement.Weights,
          EarlierOutputs.Weights,
          ValueEmbeddings.Weights,
          PlaceEmbeddings.Weights,
          StreamNorm.Weights {}
}
