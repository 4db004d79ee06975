package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;

/** The experts of a layer, in memory or read when they are needed. */
public interface ExpertBank {
  /**
   * Calls {@code use} for each of these experts, in the order given, with its gate, up and down
   * matrices, valid during the call. The order does not depend on what is in memory: sums of
   * experts do not either.
   */
  void use(int[] experts, Use use);

  /** A use of one expert's matrices. */
  @FunctionalInterface
  interface Use {
    void accept(int expert, Matrix gate, Matrix up, Matrix down);
  }

  /** Experts that lie in memory, {@code count} of them one after the other in each matrix. */
  static ExpertBank of(Matrix gate, Matrix up, Matrix down, int count) {
    return (experts, use) -> {
      for (int expert : experts) {
        use.accept(
            expert,
            slice(gate, expert, count),
            slice(up, expert, count),
            slice(down, expert, count));
      }
    };
  }

  private static Matrix slice(Matrix all, int expert, int count) {
    int rows = all.rows() / count;
    return all.rows(expert * rows, (expert + 1) * rows);
  }
}
