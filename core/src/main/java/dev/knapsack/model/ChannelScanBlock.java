package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.stream.IntStream;

/** Computes {@link ChannelScan}, whose channels {@link SelectiveScanBlock} scans. */
final class ChannelScanBlock {
  /** Nanoseconds of one core, roughly, for a number that is moved. */
  private static final double MOVE = 1;

  private final Blocks blocks;
  private final Compute compute;
  private final SelectiveScanBlock scans;

  ChannelScanBlock(Blocks blocks, SelectiveScanBlock scans) {
    this.blocks = blocks;
    this.compute = blocks.compute;
    this.scans = scans;
  }

  /**
   * Scans the numbers of each token.
   *
   * @param x the normed residual stream, one row a token
   * @param delta receives what is to be added to the residual stream
   */
  void apply(ChannelScan.Weights weights, Matrix x, Matrix delta) {
    ChannelScan spec = weights.spec();
    Matrix mixed = matrix(Slot.MIXED, spec, x, spec.inner());
    Matrix gate = matrix(Slot.GATE, spec, x, spec.inner());
    Matrix scanned = matrix(Slot.SCANNED, spec, x, spec.inner());
    compute.projectHeads(weights.input(), x, mixed);
    compute.projectHeads(weights.gate(), x, gate);
    List<Recurrence> tokens = tokens(spec, x.rows());
    scan(weights.forwards(), spec, tokens, mixed, scanned);
    flip(tokens, mixed);
    scan(weights.backwards(), spec, tokens, mixed, mixed);
    flip(tokens, mixed);
    compute.add(scanned, mixed);
    compute.gatedActivation(Activation.SILU, gate, scanned, gate);
    compute.projectHeads(weights.output(), gate, delta);
  }

  /** Rows of a slot: one for each number of each row of {@code x}. */
  private Matrix matrix(Slot slot, ChannelScan spec, Matrix x, int columns) {
    return blocks.matrix(slot, x.rows() * spec.width(), columns);
  }

  /** A token is here what a text is elsewhere. */
  private static List<Recurrence> tokens(ChannelScan spec, int count) {
    return Recurrence.whole(IntStream.generate(spec::width).limit(count), spec.stateNumbers());
  }

  /**
   * Scans in one direction.
   *
   * @param y receives the results; may be {@code mixed}
   */
  private void scan(
      ChannelScan.Scan scan, ChannelScan spec, List<Recurrence> tokens, Matrix mixed, Matrix y) {
    int rows = mixed.rows();
    Matrix x = blocks.matrix(Slot.CONVOLVED, rows, spec.inner());
    blocks.convolutions.apply(scan.convolution(), tokens, mixed, null, x);
    Matrix lowStep = blocks.matrix(Slot.LOW_RANK, rows, spec.rank());
    Matrix b = blocks.matrix(Slot.STATE_IN, rows, spec.state());
    Matrix c = blocks.matrix(Slot.STATE_OUT, rows, spec.state());
    Matrix step = blocks.matrix(Slot.STEP, rows, spec.inner());
    compute.projectHeads(scan.lowStep(), x, lowStep);
    compute.projectHeads(scan.b(), x, b);
    compute.projectHeads(scan.c(), x, c);
    compute.projectHeads(scan.step(), lowStep, step);
    compute.addBias(step, scan.stepBias().data());
    scans.scan(scan.channels(), tokens, new SelectiveScanBlock.Rows(x, step, b, c, y));
  }

  /** Turns the rows of each token round. */
  private void flip(List<Recurrence> tokens, Matrix x) {
    compute.rows(
        tokens.size(),
        x.rows() / tokens.size() * x.columns() * MOVE,
        (from, to) -> {
          float[] early = new float[x.columns()];
          float[] late = new float[x.columns()];
          for (Recurrence token : tokens.subList(from, to)) {
            int first = token.first();
            for (int last = first + token.rows() - 1; first < last; first++, last--) {
              x.read(first, 0, early);
              x.read(last, 0, late);
              x.write(first, 0, late);
              x.write(last, 0, early);
            }
          }
        });
  }
}
