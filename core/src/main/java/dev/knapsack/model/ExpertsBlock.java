package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Compute.Product;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Computes {@link Experts}: each token goes through the few that a router chooses, and through the
 * shared one if there is one.
 *
 * <p>Tokens are grouped by expert, so that each expert's weights are read once in a step.
 */
final class ExpertsBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final Router router;
  private final DenseBlock dense;

  ExpertsBlock(Blocks blocks, DenseBlock dense) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.router = new Router(blocks.workspace.tokens());
    this.dense = dense;
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(Experts.Weights weights, Matrix x, Matrix delta) {
    Matrix logits = blocks.matrix(Slot.ROUTER, x.rows(), weights.spec().count());
    weights.router().apply(blocks, compute.input(x), logits);
    router.route(weights.spec(), logits);
    delta.data().fill((byte) 0);
    // In ascending order, so that the sum does not depend on the other tokens of the step.
    weights
        .experts()
        .use(
            router.active(),
            (expert, gate, up, down) -> expert(weights, expert, gate, up, down, x, delta));
    if (weights.shared() != null) {
      shared(weights.shared(), weights.sharedGate(), x, delta);
    }
  }

  private void expert(
      Experts.Weights weights,
      int expert,
      Matrix gateWeight,
      Matrix upWeight,
      Matrix downWeight,
      Matrix x,
      Matrix delta) {
    int rows = router.count(expert);
    Matrix gathered = blocks.matrix(Slot.GATHERED, rows, x.columns());
    for (int i = 0; i < rows; i++) {
      MemorySegment.copy(
          x.data(),
          x.rowOffset(router.row(expert, i)),
          gathered.data(),
          gathered.rowOffset(i),
          x.rowBytes());
    }
    Matrix gate = blocks.matrix(Slot.GATE, rows, weights.spec().hidden());
    Matrix up = blocks.matrix(Slot.UP, rows, weights.spec().hidden());
    int alone = compute.alone(Compute.AS_FITS);
    if (alone != Compute.AS_FITS) {
      compute.alone(router.countBefore(expert, alone));
    }
    Compute.Input input = compute.input(gathered);
    compute.matmul(input, new Product(gateWeight, gate), new Product(upWeight, up));
    blocks.addBias(gate, weights.gateBias(), expert);
    blocks.addBias(up, weights.upBias(), expert);
    compute.gatedActivation(weights.spec().activation(), gate, up, gate);
    Matrix out = blocks.matrix(Slot.EXPERT, rows, x.columns());
    compute.matmul(downWeight, gate, out);
    compute.alone(alone);
    blocks.addBias(out, weights.downBias(), expert);
    for (int i = 0; i < rows; i++) {
      int token = router.row(expert, i);
      compute.add(delta.rows(token, token + 1), out.rows(i, i + 1), router.weight(expert, i));
    }
  }

  private void shared(Dense.Weights weights, @Nullable Matrix gateWeight, Matrix x, Matrix delta) {
    Matrix out = blocks.matrix(Slot.EXPERT, x.rows(), x.columns());
    dense.apply(weights, x, out);
    if (gateWeight == null) {
      compute.add(delta, out);
      return;
    }
    Matrix gate = blocks.matrix(Slot.ROUTER, x.rows(), 1);
    compute.matmul(gateWeight, x, gate);
    for (int t = 0; t < x.rows(); t++) {
      double logit = gate.data().getAtIndex(ValueLayout.JAVA_FLOAT, t);
      float sigmoid = (float) (1 / (1 + Math.exp(-logit)));
      compute.add(delta.rows(t, t + 1), out.rows(t, t + 1), sigmoid);
    }
  }
}
