package dev.knapsack.cache;

import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Gates that were learned with a model, and say of each token, when it is read, for how long each
 * KV head will want it (Bui et al., TRIM-KV, arXiv 2512.03324): in each layer a perceptron with one
 * hidden layer, over what the layer's keys are projections of.
 */
public interface RetentionGates {
  /** The file beside a model that holds them. */
  Companion<RetentionGates> FILE =
      new Companion<>(
          "trim-kv.gguf",
          "it holds gates that were learned with the model, which this program cannot do yet",
          RetentionGates.class);

  /**
   * One layer's gate: {@code log σ(out · silu(in · x + inBias) + outBias)}.
   *
   * @param in hidden units × the model's width
   * @param inBias F32, one row
   * @param out KV heads × hidden units
   * @param outBias F32, one row
   */
  record Layer(Matrix in, Matrix inBias, Matrix out, Matrix outBias) {}

  /** Hidden units of a layer, at the most. */
  int hidden();

  /** Bytes of all layers' gates. */
  long bytes();

  /**
   * Reads them.
   *
   * @param memory {@link #bytes()} of it, native
   * @return one entry a layer
   */
  List<Layer> read(MemorySegment memory);
}
