package dev.knapsack.kernel.vector;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.GatedActivation;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Matrix;

/** The activation of a gated layer, a vector of numbers at a time. */
final class VectorGate implements GatedActivation {
  private final GatedActivation scalar;

  /**
   * @param scalar for the numbers of a row after its last whole vector
   */
  VectorGate(GatedActivation scalar) {
    this.scalar = scalar;
  }

  @Override
  public void apply(Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    int whole = Lanes.whole(gate.columns());
    for (int t = from; t < to; t++) {
      long g = gate.rowOffset(t);
      long u = up.rowOffset(t);
      long o = out.rowOffset(t);
      Elementwise.gated(activation, gate.data(), g, up.data(), u, out.data(), o, whole);
      if (whole < gate.columns()) {
        scalar.apply(
            activation,
            Lanes.tail(gate, t, whole),
            Lanes.tail(up, t, whole),
            Lanes.tail(out, t, whole),
            0,
            1);
      }
    }
  }
}
