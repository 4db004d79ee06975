package dev.knapsack.model;

import dev.knapsack.tensor.Matrix;
import java.util.List;

/** The experts of a layer, in memory or read when they are needed. */
public interface ExpertBank {
  /**
   * Calls {@code use} for each of these experts, in the order given, with its matrices, valid
   * during the call. The order does not depend on what is in memory: sums of experts do not either.
   */
  void use(int[] experts, Use use);

  /** A use of one expert's matrices: those of each tensor that a file has of {@link Experts}. */
  @FunctionalInterface
  interface Use {
    void accept(int expert, List<Matrix> matrices);
  }

  /** Experts that lie in memory, {@code count} of them one after the other in each of these. */
  static ExpertBank of(List<Matrix> tensors, int count) {
    return (experts, use) -> {
      for (int expert : experts) {
        use.accept(expert, tensors.stream().map(all -> slice(all, expert, count)).toList());
      }
    };
  }

  private static Matrix slice(Matrix all, int expert, int count) {
    int rows = all.rows() / count;
    return all.rows(expert * rows, (expert + 1) * rows);
  }
}
