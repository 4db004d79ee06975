package dev.knapsack.kernel;

import dev.knapsack.tensor.Matrix;

/**
 * The largest work that {@link Kernels} and {@link Compute} will be asked for, from which follows
 * what scratch memory they need.
 *
 * @param tokens rows of activations in one call
 * @param columns columns of the widest matrix that is multiplied
 * @param heads query heads
 * @param queryGroup query heads that share a KV head
 * @param headSize numbers in the largest key or value head
 */
public record KernelLimits(int tokens, int columns, int heads, int queryGroup, int headSize) {
  public KernelLimits {
    if (tokens < 1 || columns < 1 || heads < 1 || queryGroup < 1 || headSize < 1) {
      throw new IllegalArgumentException(
          "Limits are at least 1: %d tokens, %d columns, %d heads, query group %d, head size %d"
              .formatted(tokens, columns, heads, queryGroup, headSize));
    }
  }

  void check(Matrix x) {
    if (x.rows() > tokens || x.columns() > columns) {
      throw new IllegalArgumentException(
          "%d × %d activations; scratch memory was made for at most %d × %d"
              .formatted(x.rows(), x.columns(), tokens, columns));
    }
  }
}
