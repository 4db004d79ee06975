package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * An embedding by way of few numbers, for tokens and for positions, and one for the part of a text:
 * the Nano Embedder of EmbBERT (Bravin et al., arXiv 2502.10001). The table of tokens has rows of
 * {@code rank} numbers, which a projection makes as wide as the model; another brings the last
 * states down to them again, before the output projection, which may be that table.
 *
 * @param rank numbers that tokens and positions are embedded in
 * @param positions tokens of a text, at the most
 * @param separator the token from which on a text is in its second part; 0 for none
 */
public record NanoEmbedder(int width, int rank, int positions, int separator) implements Block {
  private static final String UP = "token_embd_up.weight";
  private static final String POSITIONS = "position_embd.weight";
  private static final String POSITIONS_UP = "position_embd_up.weight";
  private static final String PARTS = "token_types.weight";
  private static final String DOWN = "output_down.weight";

  /** The parts of a text: the first, the second, and tokens that fill up. */
  private static final int PART_COUNT = 3;

  /**
   * The tensors that it computes with, beside the table of tokens.
   *
   * @param up makes rows of that table as wide as the model
   * @param positions a row for each
   * @param parts a row for each, as wide as the model
   * @param down makes few numbers of a state
   */
  public record Weights(
      NanoEmbedder spec, Matrix up, Matrix positions, Matrix positionsUp, Matrix parts, Matrix down)
      implements Block.Change {}

  @Override
  public List<TensorSpec> tensors() {
    return List.of(
        new TensorSpec(UP, Role.MATRIX, rank, width),
        new TensorSpec(POSITIONS, Role.NUMBERS, rank, positions),
        new TensorSpec(POSITIONS_UP, Role.MATRIX, rank, width),
        new TensorSpec(PARTS, Role.NUMBERS, width, PART_COUNT),
        new TensorSpec(DOWN, Role.MATRIX, width, rank));
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(
        this,
        tensors.get(UP),
        tensors.get(POSITIONS),
        tensors.get(POSITIONS_UP),
        tensors.get(PARTS),
        tensors.get(DOWN));
  }

  @Override
  public int widest() {
    return Math.max(width, rank);
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of(Slot.LOW_RANK, (long) tokens * rank);
  }
}
