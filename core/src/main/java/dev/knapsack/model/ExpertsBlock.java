package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Compute.Product;
import dev.knapsack.model.Workspace.Slot;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The MLP of a layer with experts: each token goes through the few that a router chooses, and
 * through the shared one if there is one.
 *
 * <p>Tokens are grouped by expert, so that each expert's weights are read once in a step.
 */
final class ExpertsBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final WeightSource source;
  private final Router router;
  private final DenseBlock shared;

  ExpertsBlock(Blocks blocks, WeightSource source) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.source = source;
    this.router = new Router(blocks.workspace.tokens());
    this.shared = new DenseBlock(blocks, "_shexp");
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(Mlp.Experts experts, LayerWeights weights, Matrix x, Matrix delta) {
    Matrix logits = blocks.matrix(Slot.ROUTER, x.rows(), experts.count());
    blocks.project(weights, "ffn_gate_inp.weight", "ffn_gate_inp.bias", compute.input(x), logits);
    router.route(experts, logits);
    delta.data().fill((byte) 0);
    // In ascending order, so that the sum does not depend on the other tokens of the step.
    source.experts(
        weights.index(),
        router.active(),
        (expert, gate, up, down) -> expert(experts, weights, expert, gate, up, down, x, delta));
    if (experts.sharedWidth() > 0) {
      shared(experts, weights, x, delta);
    }
  }

  private void expert(
      Mlp.Experts experts,
      LayerWeights weights,
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
    Matrix gate = blocks.matrix(Slot.GATE, rows, experts.width());
    Matrix up = blocks.matrix(Slot.UP, rows, experts.width());
    int alone = compute.alone(Compute.AS_FITS);
    if (alone != Compute.AS_FITS) {
      compute.alone(router.countBefore(expert, alone));
    }
    Compute.Input input = compute.input(gathered);
    compute.matmul(input, new Product(gateWeight, gate), new Product(upWeight, up));
    blocks.addBias(gate, weights.find("ffn_gate_exps.bias"), expert);
    blocks.addBias(up, weights.find("ffn_up_exps.bias"), expert);
    compute.gatedActivation(experts.activation(), gate, up, gate);
    Matrix out = blocks.matrix(Slot.EXPERT, rows, x.columns());
    compute.matmul(downWeight, gate, out);
    compute.alone(alone);
    blocks.addBias(out, weights.find("ffn_down_exps.bias"), expert);
    for (int i = 0; i < rows; i++) {
      int token = router.row(expert, i);
      compute.add(delta.rows(token, token + 1), out.rows(i, i + 1), router.weight(expert, i));
    }
  }

  private void shared(Mlp.Experts experts, LayerWeights weights, Matrix x, Matrix delta) {
    Matrix out = blocks.matrix(Slot.EXPERT, x.rows(), x.columns());
    shared.apply(experts.sharedWidth(), experts.activation(), weights, x, out);
    Matrix gateWeight = weights.find("ffn_gate_inp_shexp.weight");
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
