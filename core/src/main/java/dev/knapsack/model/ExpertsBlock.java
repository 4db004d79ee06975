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

  /**
   * Computes {@code delta} from {@code x}, one row a token.
   *
   * @param rows what the router reads, a row for each of {@code x}
   */
  void apply(Experts.Weights weights, Matrix rows, Matrix x, Matrix delta) {
    Matrix routed = rows;
    if (weights.routerScale() != null) {
      routed = blocks.matrix(Slot.EXPERT, x.rows(), x.columns());
      blocks.norm(rows, weights.routerScale(), x.columns(), routed);
      compute.scale(routed, (float) (1 / Math.sqrt(x.columns())));
    }
    Matrix logits = blocks.matrix(Slot.ROUTER, x.rows(), weights.spec().count());
    weights.router().apply(blocks, compute.input(routed), logits);
    Experts spec = weights.spec();
    router.route(spec.gating(), spec.used(), weights.choiceBias(), logits);
    if (weights.toLatent() == null || weights.fromLatent() == null) {
      chosen(weights, x, delta);
    } else {
      Matrix latent = blocks.matrix(Slot.LATENT, x.rows(), weights.spec().latent());
      Matrix sum = blocks.matrix(Slot.LATENT_DELTA, x.rows(), weights.spec().latent());
      weights.toLatent().apply(blocks, compute.input(x), latent);
      chosen(weights, latent, sum);
      weights.fromLatent().apply(blocks, compute.input(sum), delta);
    }
    if (weights.shared() != null) {
      shared(weights.shared(), weights.sharedGate(), x, delta);
    }
  }

  /** Computes the sum of the chosen experts. */
  private void chosen(Experts.Weights weights, Matrix x, Matrix sum) {
    sum.data().fill((byte) 0);
    // In ascending order, so that the sum does not depend on the other tokens of the step.
    weights
        .experts()
        .use(
            router.active(),
            (expert, matrices) -> expert(weights, expert, weights.spec().expert(matrices), x, sum));
  }

  private void expert(
      Experts.Weights weights, int number, Experts.Expert expert, Matrix x, Matrix sum) {
    Experts spec = weights.spec();
    boolean weighsInputs = spec.gating().inputs();
    int rows = router.count(number);
    Matrix gathered = blocks.matrix(Slot.GATHERED, rows, x.columns());
    for (int i = 0; i < rows; i++) {
      MemorySegment.copy(
          x.data(),
          x.rowOffset(router.row(number, i)),
          gathered.data(),
          gathered.rowOffset(i),
          x.rowBytes());
      if (weighsInputs) {
        compute.scale(gathered.rows(i, i + 1), router.weight(number, i));
      }
    }
    Matrix up = blocks.matrix(Slot.UP, rows, spec.hidden());
    int alone = compute.alone(Compute.AS_FITS);
    if (alone != Compute.AS_FITS) {
      compute.alone(router.countBefore(number, alone));
    }
    Compute.Input input = compute.input(gathered);
    Matrix gates = expert.gate();
    Matrix gate = gates == null ? null : blocks.matrix(Slot.GATE, rows, spec.hidden());
    if (gates == null || gate == null) {
      compute.matmul(expert.up(), input, up);
    } else {
      compute.matmul(input, new Product(gates, gate), new Product(expert.up(), up));
      blocks.addBias(gate, weights.gateBias(), number);
    }
    blocks.addBias(up, weights.upBias(), number);
    Matrix out = blocks.matrix(Slot.EXPERT, rows, x.columns());
    compute.matmul(expert.down(), blocks.activate(spec.function(), gate, up), out);
    compute.alone(alone);
    blocks.addBias(out, weights.downBias(), number);
    if (weights.scale() != null) {
      compute.scale(out, weights.scale().data().getAtIndex(ValueLayout.JAVA_FLOAT, number));
    }
    for (int i = 0; i < rows; i++) {
      int token = router.row(number, i);
      compute.add(
          sum.rows(token, token + 1),
          out.rows(i, i + 1),
          weighsInputs ? 1 : router.weight(number, i));
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
