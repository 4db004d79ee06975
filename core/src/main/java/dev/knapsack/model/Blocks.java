package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.model.Workspace.Slot;
import dev.knapsack.tensor.Matrix;
import org.jspecify.annotations.Nullable;

/**
 * What the blocks of a layer have in common: products with biases, and norms, where there are any.
 */
final class Blocks {
  private final ModelSpec spec;
  final Compute compute;
  final Workspace workspace;

  Blocks(ModelSpec spec, Compute compute, Workspace workspace) {
    this.spec = spec;
    this.compute = compute;
    this.workspace = workspace;
  }

  int width() {
    return spec.width();
  }

  /** Rows of {@code columns} numbers in the workspace. */
  Matrix matrix(Slot slot, int rows, int columns) {
    return workspace.matrix(slot, rows, columns);
  }

  /** {@code out = w · x}, plus the bias if the layer has it. */
  void project(LayerWeights layer, String weight, String bias, Compute.Input x, Matrix out) {
    compute.matmul(layer.get(weight), x, out);
    addBias(out, layer.find(bias), 0);
  }

  /** {@code x += bias}: row {@code row} of it, if there is one. */
  void addBias(Matrix x, @Nullable Matrix bias, int row) {
    if (bias != null) {
      compute.addBias(x, bias.data().asSlice(4L * row * x.columns(), 4L * x.columns()));
    }
  }

  /** {@code out = norm(x)} over groups of columns, where the model has this norm. */
  void norm(Matrix x, @Nullable Matrix weight, int group, Matrix out) {
    if (weight != null) {
      compute.rmsNorm(x, weight.data(), group, spec.normEpsilon(), out);
    }
  }

  /** Adds what a sublayer computed to the residual stream. */
  void addResidual(Matrix hidden, Matrix delta) {
    compute.add(hidden, delta, spec.residualScale());
  }
}
