package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;

/** Matrix products with weights in one format. */
interface Product {
  /** True where there is code for these shapes. */
  boolean fits(Matrix w, Matrix x, Tokens tokens);

  /** See {@link dev.knapsack.kernel.MatrixProducts#matmul}. */
  void multiply(
      Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, MemorySegment scratch);
}
