package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import org.jspecify.annotations.Nullable;

/** The means of a layer's blocks: workspace, norms and biases where there are any. */
final class Blocks {
  private final ModelSpec spec;
  final Compute compute;
  final Workspace workspace;

  /** The rows of the step that have adapters; what blocks multiply with goes by it. */
  AdapterRows[] adapted = AdapterRows.NONE;

  Blocks(ModelSpec spec, Compute compute, Workspace workspace) {
    this.spec = spec;
    this.compute = compute;
    this.workspace = workspace;
  }

  /** The ε of norms. */
  double epsilon() {
    return spec.normEpsilon();
  }

  /** Rows of {@code columns} numbers in the workspace. */
  Matrix matrix(Slot slot, int rows, int columns) {
    return workspace.matrix(slot, rows, columns);
  }

  /** {@code x += bias}: row {@code row} of it, if there is one. */
  void addBias(Matrix x, @Nullable Matrix bias, int row) {
    if (bias != null) {
      compute.addBias(x, bias.data().asSlice(4L * row * x.columns(), 4L * x.columns()));
    }
  }

  /**
   * {@code norm(x)} over groups of columns, where the model has this norm.
   *
   * @return {@code out}, or {@code x} where it has not
   */
  Matrix norm(Matrix x, @Nullable Matrix weight, int group, Matrix out) {
    if (weight == null) {
      return x;
    }
    compute.rmsNorm(x, weight.data(), group, spec.normEpsilon(), out);
    return out;
  }

  /** {@code x / rms(x)} over groups of columns: a norm without factors. */
  void unitNorm(Matrix x, int group, Matrix out) {
    compute.rmsNorm(x, null, group, spec.normEpsilon(), out);
  }

  /** Adds what a sublayer computed to the residual stream. */
  void addResidual(Matrix hidden, Matrix delta) {
    compute.add(hidden, delta, spec.residualScale());
  }
}
