package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import org.jspecify.annotations.Nullable;

/**
 * The weights that steps compute with: resident, or streamed from disk just in time.
 *
 * <p>The forward pass calls {@link #layer} for each layer in order and uses what it returned until
 * the next call. A source that streams waits there until the layer has been read and starts reading
 * the following one.
 */
public interface WeightSource {
  /** The weights of layer {@code index}, valid until the next call of this method. */
  LayerWeights layer(int index);

  /** The norm of the token embedding; null if the model has none. */
  @Nullable Norm embeddingNorm();

  /** The last norm. */
  Norm outputNorm();

  /**
   * Calls {@code use} with consecutive row blocks of the output projection, each valid during its
   * call; one block if it is resident.
   */
  void output(RowBlock use);

  /** Decodes row {@code token} of the token embedding into row {@code row} of {@code target}. */
  void embedding(int token, Matrix target, int row);

  /** A use of a block of rows that starts at {@code firstRow} of the whole matrix. */
  @FunctionalInterface
  interface RowBlock {
    void accept(int firstRow, Matrix block);
  }
}
