package dev.knapsack.kernel;

import java.util.Locale;

/**
 * The arithmetic of one step, on plain ranges of rows: no threads, no allocation per call, no state
 * that outlives a call.
 *
 * <p>Activations are {@link dev.knapsack.tensor.Matrix} values in F32, one row a token. {@link
 * ScalarKernels} defines each operation; every other provider is tested against it. {@link Compute}
 * spreads the work over a {@link WorkerTeam}.
 *
 * <p>An output element is computed by one call, in an order that does not depend on the range asked
 * for, so that results do not depend on how work was split. One token and several may be multiplied
 * in different orders, and so differ in rounding; how many others there are changes nothing, and
 * {@link MatrixProducts.Tokens} says which of the two it is to be.
 *
 * @param description the provider's name, with the instructions that its code is made of where that
 *     is a choice: {@code x86 (AVX2)}
 * @param missing what the provider leaves to another
 */
public record Kernels(
    KernelProvider provider,
    String description,
    MissingCode missing,
    MatrixProducts products,
    RowOperations rows,
    GatedActivation gatedActivation,
    Attention attention,
    Recurrences recurrences,
    Peak peak) {
  /** {@code scalar}, {@code vector} or {@code x86}. */
  public String name() {
    return provider.name().toLowerCase(Locale.ROOT);
  }

  /** Bytes of {@link Scratch} memory that one call needs at the most. */
  public long scratchBytes(KernelLimits limits) {
    return Math.max(products.scratchBytes(limits), attention.scratchBytes(limits));
  }

  @Override
  public String toString() {
    return description;
  }
}
