package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;

/**
 * Where the weights are when a step needs them: resident, or streamed from disk just in time.
 *
 * <p>The forward pass calls {@link #layer} for each layer in order and uses what it returned until
 * the next call. A source that streams waits there until the layer has been read and starts reading
 * the following one.
 */
public interface WeightSource {
  /**
   * The tensors of layer {@code index} other than its experts, valid until the next call of this
   * method.
   */
  LayerWeights layer(int index);

  /**
   * A tensor outside the layers ({@code token_embd.weight}, {@code output_norm.weight}, {@code
   * rope_freqs.weight}); always resident if small.
   */
  Matrix global(String name);

  boolean has(String name);

  /**
   * Calls {@code use} with consecutive row blocks of a large global matrix (the output projection),
   * each valid during its call; one block if it is resident.
   */
  void globalBlocks(String name, RowBlock use);

  /** Decodes row {@code row} of the token embedding into {@code target} (F32). */
  void embedding(int token, Matrix target, int row);

  /**
   * Calls {@code use} for each of these experts of the current layer, in this order, with its gate,
   * up and down matrices, valid during the call; experts that are not resident are read.
   *
   * <p>Calls come in the order given, whatever is resident: sums of experts then do not depend on
   * it.
   */
  void experts(int layer, int[] experts, ExpertUse use);

  /** A use of a block of rows that starts at {@code firstRow} of the whole matrix. */
  @FunctionalInterface
  interface RowBlock {
    void accept(int firstRow, Matrix block);
  }

  /** A use of one expert's weights. */
  @FunctionalInterface
  interface ExpertUse {
    void accept(int expert, Matrix gate, Matrix up, Matrix down);
  }
}
