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

  /** A tensor outside the layers, which stays; null if the model has none of this name. */
  @Nullable Matrix find(String name);

  /**
   * Calls {@code use} with consecutive row blocks of the output projection, each valid during its
   * call; one block if it is resident.
   */
  void output(RowBlock use);

  /**
   * Decodes rows of a table, one after the other.
   *
   * @param table {@link ModelSpec#EMBEDDING}, or another table that the model declares
   * @param rows tokens, or other numbers of rows, of which the first count, as many as {@code
   *     target} has rows
   */
  void gather(String table, int[] rows, Matrix target);

  /** A use of a block of rows that starts at {@code firstRow} of the whole matrix. */
  @FunctionalInterface
  interface RowBlock {
    void accept(int firstRow, Matrix block);
  }
}
