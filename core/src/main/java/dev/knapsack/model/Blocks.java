package dev.knapsack.model;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.Xielu;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The means of a layer's blocks: workspace, norms and biases where there are any. */
final class Blocks {
  /** Nanoseconds of one core, roughly, for a number that is cut off. */
  private static final double CUT = 3;

  private final ModelSpec spec;
  final Compute compute;
  final Workspace workspace;
  final Convolutions convolutions;

  /** The rows of the step that have adapters; what blocks multiply with goes by it. */
  AdapterRows[] adapted = AdapterRows.NONE;

  Blocks(ModelSpec spec, Compute compute, Workspace workspace) {
    this.spec = spec;
    this.compute = compute;
    this.workspace = workspace;
    this.convolutions = new Convolutions(compute);
  }

  /** The ε of norms. */
  float epsilon() {
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
   * The RMS norm over groups of columns, where the model has this norm.
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

  /**
   * RMS norms of groups of columns, each with factors of its own, where the model has them.
   *
   * @param factors a row for each group
   */
  void normGroups(Matrix x, @Nullable Matrix factors) {
    if (factors == null) {
      return;
    }
    int groups = factors.rows();
    int size = factors.columns();
    Matrix all = new Matrix(x.format(), x.rows() * groups, size, x.data());
    compute.rows(
        all.rows(),
        size,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            MemorySegment own = factors.rows(i % groups, i % groups + 1).data();
            compute.kernels().rows().rmsNorm(all, own, size, spec.normEpsilon(), all, i, i + 1);
          }
        });
  }

  /**
   * Applies a hidden layer's function.
   *
   * @param gate null where it is not gated
   * @return where the result is, which is in either of them
   */
  Matrix activate(Nonlinearity function, @Nullable Matrix gate, Matrix up) {
    return switch (function) {
      case Nonlinearity.Gated(Activation activation) -> {
        Matrix out = Objects.requireNonNull(gate);
        compute.gatedActivation(activation, out, up, out);
        yield out;
      }
      case Nonlinearity.CutOff(Activation activation, float deviations) -> {
        cutOff(Objects.requireNonNull(gate), deviations);
        yield activate(new Nonlinearity.Gated(activation), gate, up);
      }
      case Nonlinearity.Ungated(Activation activation) -> {
        compute.activate(activation, up);
        yield up;
      }
      case Nonlinearity.Curved(Xielu curve) -> {
        compute.xielu(curve, up);
        yield up;
      }
    };
  }

  private void cutOff(Matrix gate, float deviations) {
    compute.rows(
        gate.rows(),
        gate.columns() * CUT,
        (from, to) -> {
          float[] numbers = new float[gate.columns()];
          for (int row = from; row < to; row++) {
            gate.read(row, 0, numbers);
            cutOff(numbers, deviations);
            gate.write(row, 0, numbers);
          }
        });
  }

  private static void cutOff(float[] numbers, float deviations) {
    double sum = 0;
    for (float number : numbers) {
      sum += number;
    }
    double mean = sum / numbers.length;
    double squares = 0;
    for (float number : numbers) {
      squares += (number - mean) * (number - mean);
    }
    float least = (float) (mean + deviations * Math.sqrt(squares / numbers.length));
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Math.max(0, numbers[i] - least);
    }
  }

  /**
   * A norm over all columns, where the model has it.
   *
   * @return {@code out}, or {@code x} where it has not
   */
  Matrix norm(Matrix x, @Nullable Norm norm, Matrix out) {
    if (norm == null) {
      return x;
    }
    MemorySegment factors = norm.factors().data();
    MemorySegment bias = norm.bias() == null ? null : norm.bias().data();
    if (spec.centredNorms()) {
      return layerNorm(x, norm, out);
    }
    compute.rmsNorm(x, factors, x.columns(), spec.normEpsilon(), out);
    if (bias != null) {
      compute.addBias(out, bias);
    }
    return out;
  }

  /**
   * A layer norm over all columns, where the model has it.
   *
   * @return {@code out}, or {@code x} where it has not
   */
  Matrix layerNorm(Matrix x, @Nullable Norm norm, Matrix out) {
    if (norm == null) {
      return x;
    }
    MemorySegment bias = norm.bias() == null ? null : norm.bias().data();
    compute.layerNorm(x, norm.factors().data(), bias, spec.normEpsilon(), out);
    return out;
  }

  /**
   * Deals columns that lie group by group, each with some of every part's, out to the parts.
   *
   * @param x as wide as all parts
   */
  void deal(Matrix x, int groups, Matrix... parts) {
    compute.rows(
        x.rows(),
        x.columns(),
        (from, to) -> {
          long at = x.rowOffset(from);
          for (int row = from; row < to; row++) {
            for (int group = 0; group < groups; group++) {
              for (Matrix part : parts) {
                long bytes = part.rowBytes() / groups;
                long place = part.rowOffset(row) + group * bytes;
                MemorySegment.copy(x.data(), at, part.data(), place, bytes);
                at += bytes;
              }
            }
          }
        });
  }

  /** Adds what a sublayer computed to the residual stream. */
  void addResidual(Matrix hidden, Matrix delta) {
    compute.add(hidden, delta, spec.residualScale());
  }
}
