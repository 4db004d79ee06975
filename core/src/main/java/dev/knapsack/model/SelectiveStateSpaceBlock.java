package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;

/** Computes {@link SelectiveStateSpace}, whose heads {@link StateSpaceBlock} scans. */
final class SelectiveStateSpaceBlock {
  private final Blocks blocks;
  private final Compute compute;
  private final StateSpaceBlock heads;

  SelectiveStateSpaceBlock(Blocks blocks, StateSpaceBlock heads) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.heads = heads;
  }

  /**
   * Carries each run's state through its tokens.
   *
   * @param x the normed residual stream, one row a token, run after run
   * @param delta receives what is to be added to the residual stream
   */
  void apply(SelectiveStateSpace.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    SelectiveStateSpace spec = weights.spec();
    Matrix inputs = blocks.matrix(Slot.MIXED, x.rows(), 2 * spec.inner());
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), spec.inner());
    Matrix convolved = blocks.matrix(Slot.CONVOLVED, x.rows(), spec.inner());
    weights.inputs().apply(blocks, compute.input(x), inputs);
    blocks.deal(inputs, spec.heads(), gate, convolved);
    List<Recurrence> all = Recurrence.of(runs, weights.state());
    blocks.convolutions.apply(weights.convolution(), all, convolved, null, convolved);
    StateSpaceBlock.Rows rows = select(weights, convolved);
    heads.scan(weights.heads(), all, rows);
    compute.gatedActivation(Activation.SILU, gate, rows.y(), gate);
    weights.output().apply(blocks, compute.input(gate), delta);
  }

  private StateSpaceBlock.Rows select(SelectiveStateSpace.Weights weights, Matrix x) {
    SelectiveStateSpace spec = weights.spec();
    Matrix b = blocks.matrix(Slot.STATE_IN, x.rows(), spec.state());
    Matrix c = blocks.matrix(Slot.STATE_OUT, x.rows(), spec.state());
    Matrix lowStep = blocks.matrix(Slot.LOW_RANK, x.rows(), spec.rank());
    Linear.apply(
        blocks,
        compute.input(x),
        weights.b().into(b),
        weights.c().into(c),
        weights.lowStep().into(lowStep));
    blocks.norm(b, weights.bNorm(), b.columns(), b);
    blocks.norm(c, weights.cNorm(), c.columns(), c);
    blocks.norm(lowStep, weights.lowStepNorm(), lowStep.columns(), lowStep);
    Matrix step = blocks.matrix(Slot.STEP, x.rows(), spec.heads());
    weights.step().apply(blocks, compute.input(lowStep), step);
    Matrix scanned = blocks.matrix(Slot.SCANNED, x.rows(), spec.inner());
    return new StateSpaceBlock.Rows(x, b, 0, c, 0, step, scanned);
  }
}
