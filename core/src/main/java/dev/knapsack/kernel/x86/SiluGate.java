package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.GatedActivation;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Matrix;

/** The activation of a gated layer in machine code where it is SiLU; others are another's. */
final class SiluGate implements GatedActivation {
  private final GatedActivation others;
  private final Code silu;

  SiluGate(GatedActivation others, Code.Loader loader) {
    this.others = others;
    silu = loader.load(SiluCode.code());
  }

  @Override
  public void apply(Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    if (activation != Activation.SILU || gate.columns() % 8 != 0 || from >= to) {
      others.apply(activation, gate, up, out, from, to);
      return;
    }
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    long at = gate.rowOffset(from);
    long bytes = (to - from) * gate.rowBytes();
    silu.call(
        gate.data().asSlice(at, bytes),
        up.data().asSlice(at, bytes),
        out.data().asSlice(at, bytes),
        bytes / Float.BYTES / 8,
        0,
        0,
        0);
  }
}
