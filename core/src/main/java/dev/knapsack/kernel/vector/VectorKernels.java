package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.ChunkedAttention;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.MissingCode;
import dev.knapsack.kernel.RowOperations;
import dev.knapsack.tensor.Formats;
import java.util.EnumSet;
import java.util.Set;

/**
 * The provider on the JDK's Vector API: weights are read in their file's own layout and multiplied
 * in float32.
 */
public final class VectorKernels {
  private VectorKernels() {}

  /** Bits in the vectors that this machine's processor works with; 64 or less is not worth it. */
  public static int vectorBits() {
    return Lanes.F.vectorBitSize();
  }

  /**
   * The kernels of this provider.
   *
   * @param scalar does what is not worth a vector
   */
  public static Kernels open(Kernels scalar) {
    RowKernels formats = new RowKernels();
    RowOperations rows = new VectorRows(scalar.rows());
    return new Kernels(
        KernelProvider.VECTOR,
        "vector",
        new MissingCode(
            formats.without(Formats.weights()),
            formats.without(Formats.cache()),
            Set.of(),
            EnumSet.of(MissingCode.Operation.QUANTISE)),
        new VectorProducts(formats, scalar.products()),
        rows,
        new VectorGate(scalar.gatedActivation()),
        new ChunkedAttention(new AttentionSteps(formats), rows),
        new VectorRecurrences(),
        _ -> Ones.multiplyAdd());
  }
}
