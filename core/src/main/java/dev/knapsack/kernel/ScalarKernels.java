package dev.knapsack.kernel;

/**
 * The definition of every operation: slow, obvious, and what other providers are tested against.
 *
 * <p>Sums run over columns (or cached tokens) in rising order in double precision; what is stored
 * is rounded to float32 once. Unlike other providers it allocates small arrays as it goes.
 */
public final class ScalarKernels {
  private ScalarKernels() {}

  /** The kernels of this provider. */
  public static Kernels open() {
    RowOperations rows = new ScalarRows();
    return new Kernels(
        KernelProvider.SCALAR,
        "scalar",
        MissingCode.NONE,
        new ScalarProducts(),
        rows,
        new ScalarGate(),
        new ScalarAttention(rows),
        new ScalarRecurrences(),
        _ -> ones());
  }

  private static double ones() {
    int rounds = 16_384;
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    double[] ones = {1, 1};
    for (int i = 0; i < rounds; i++) {
      a += ones[0] * ones[1];
      b += ones[1] * ones[0];
      c += ones[0] * ones[1];
      d += ones[1] * ones[0];
    }
    return a + b + c + d;
  }
}
