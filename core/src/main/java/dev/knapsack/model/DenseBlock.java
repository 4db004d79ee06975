package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Computes {@link Dense}. */
final class DenseBlock {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** What a number takes on one core to be cut off, roughly, in nanoseconds. */
  private static final double PASS = 3;

  private final Blocks blocks;
  private final Compute compute;

  DenseBlock(Blocks blocks) {
    this.blocks = blocks;
    this.compute = blocks.compute;
  }

  /** Computes {@code delta} from {@code x}, one row a token. */
  void apply(Dense.Weights weights, Matrix x, Matrix delta) {
    Matrix gate = blocks.matrix(Slot.GATE, x.rows(), weights.spec().hidden());
    Matrix up = blocks.matrix(Slot.UP, x.rows(), weights.spec().hidden());
    Compute.Input input = compute.input(x);
    Linear.apply(blocks, input, weights.gate().into(gate), weights.up().into(up));
    if (weights.spec().cutoff() > 0) {
      cutOff(gate, weights.spec().cutoff());
    }
    compute.gatedActivation(weights.spec().activation(), gate, up, gate);
    weights.down().apply(blocks, compute.input(gate), delta);
  }

  private void cutOff(Matrix gate, float cutoff) {
    compute.rows(
        gate.rows(),
        gate.columns() * PASS,
        (from, to) -> {
          float[] numbers = new float[gate.columns()];
          for (int row = from; row < to; row++) {
            MemorySegment.copy(gate.data(), FLOAT, gate.rowOffset(row), numbers, 0, numbers.length);
            cutOff(numbers, cutoff);
            MemorySegment.copy(numbers, 0, gate.data(), FLOAT, gate.rowOffset(row), numbers.length);
          }
        });
  }

  private static void cutOff(float[] numbers, float cutoff) {
    double sum = 0;
    for (float number : numbers) {
      sum += number;
    }
    double mean = sum / numbers.length;
    double squares = 0;
    for (float number : numbers) {
      squares += (number - mean) * (number - mean);
    }
    float least = (float) (mean + cutoff * Math.sqrt(squares / numbers.length));
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Math.max(0, numbers[i] - least);
    }
  }
}
