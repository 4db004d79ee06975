package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Computes {@link NanoEmbedder}, at both ends of a pass. */
final class NanoEmbedderBlock {
  /** The token that fills up in published models, and is in neither part of a text. */
  private static final int PADDING = 0;

  private final Blocks blocks;
  private final Compute compute;
  private final WeightSource source;
  private final NanoEmbedder.@Nullable Weights weights;

  /**
   * @param opening the blocks before the first layer, of which one may be it
   */
  NanoEmbedderBlock(Blocks blocks, WeightSource source, List<Block.Weights> opening) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.source = source;
    this.weights =
        opening.stream()
            .filter(NanoEmbedder.Weights.class::isInstance)
            .map(NanoEmbedder.Weights.class::cast)
            .findFirst()
            .orElse(null);
  }

  /** Says whether the model has it. */
  boolean embeds() {
    return weights != null;
  }

  /**
   * Embeds tokens.
   *
   * @param ids tokens, text after text
   * @param positions of each in its text
   * @param hidden receives a row of each
   */
  void embed(NanoEmbedder.Weights embedder, int[] ids, int[] positions, Matrix hidden) {
    NanoEmbedder spec = embedder.spec();
    Matrix few = blocks.matrix(Slot.LOW_RANK, hidden.rows(), spec.rank());
    Matrix other = blocks.matrix(Slot.DELTA, hidden.rows(), spec.width());
    source.gather(ModelSpec.EMBEDDING, ids, few);
    compute.matmul(embedder.up(), few, hidden);
    float[] row = new float[spec.rank()];
    for (int t = 0; t < hidden.rows(); t++) {
      if (positions[t] >= spec.positions()) {
        throw new IllegalArgumentException(
            "A text has %,d tokens or more, and the model embeds up to %,d positions; make it shorter"
                .formatted(positions[t] + 1, spec.positions()));
      }
      embedder.positions().read(positions[t], 0, row);
      few.write(t, 0, row);
    }
    compute.matmul(embedder.positionsUp(), few, other);
    compute.add(hidden, other);
    float[] part = new float[spec.width()];
    boolean second = false;
    for (int t = 0; t < hidden.rows(); t++) {
      second = spec.separator() > 0 && (ids[t] == spec.separator() || (second && positions[t] > 0));
      embedder.parts().read(ids[t] == PADDING ? 0 : second ? 2 : 1, 0, part);
      other.write(t, 0, part);
    }
    compute.add(hidden, other);
  }

  /**
   * The numbers of states that logits are made of: the states themselves, where the model does not
   * embed so.
   */
  Matrix reduce(Matrix states) {
    if (weights == null) {
      return states;
    }
    Matrix few = blocks.matrix(Slot.DELTA, states.rows(), weights.spec().rank());
    compute.matmul(weights.down(), states, few);
    return few;
  }
}
