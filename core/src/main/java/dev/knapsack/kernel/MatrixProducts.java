package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;

/** Products of weights, in any format, and activations. */
public interface MatrixProducts {
  /** The order in which a product is computed, of two. */
  enum Tokens {
    /** Each token as if it were the only one. */
    ALONE,
    /** Each token as one of several, also where it is the only one. */
    TOGETHER;

    /** The order that is fastest for so many. */
    public static Tokens of(int count) {
      return count == 1 ? ALONE : TOGETHER;
    }
  }

  /**
   * Matrix product: {@code out[t][r] = Σ_c w[r][c] · x[t][c]} for rows {@code r} in {@code [from,
   * to)} of the weights and all tokens {@code t}.
   *
   * @param w weights, any format, rows × columns
   * @param x activations, tokens × columns, F32 or {@link dev.knapsack.tensor.Q8Activations}
   * @param out F32, tokens × rows
   */
  void matmul(Matrix w, Matrix x, Tokens tokens, Matrix out, int from, int to, Scratch scratch);

  /**
   * Quantises rows {@code [from, to)} of F32 activations to {@link
   * dev.knapsack.tensor.Q8Activations}.
   */
  void quantise(Matrix x, Matrix out, int from, int to);

  /**
   * The form of activations when they meet weights in a block format, where nobody says otherwise:
   * {@link Compute.Precision#EIGHT_BIT} for a provider that multiplies codes.
   */
  Compute.Precision precision();

  /** Rows by whose multiples a matrix product is best split. */
  int rowTile();

  /** Scratch bytes that one product needs at the most. */
  long scratchBytes(KernelLimits limits);
}
