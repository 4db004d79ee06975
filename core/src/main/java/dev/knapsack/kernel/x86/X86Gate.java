package dev.knapsack.kernel.x86;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.GatedActivation;
import dev.knapsack.kernel.Shapes;
import dev.knapsack.tensor.Matrix;
import java.util.EnumMap;
import java.util.Map;

/** The activation of a gated layer in machine code where {@link ActivationCode} has it. */
final class X86Gate implements GatedActivation {
  private final GatedActivation others;
  private final Map<Activation, Code> codes = new EnumMap<>(Activation.class);

  X86Gate(GatedActivation others, Code.Loader loader) {
    this.others = others;
    ActivationCode.ALL.forEach(
        activation -> codes.put(activation, loader.load(ActivationCode.code(activation, true))));
  }

  @Override
  public void apply(Activation activation, Matrix gate, Matrix up, Matrix out, int from, int to) {
    Code code = codes.get(activation);
    if (code == null || gate.columns() % X86Rows.LANES != 0 || from >= to) {
      others.apply(activation, gate, up, out, from, to);
      return;
    }
    Shapes.checkSame(gate, up, from, to);
    Shapes.checkSame(gate, out, from, to);
    code.call(
        X86Rows.rows(gate, from, to),
        X86Rows.rows(up, from, to),
        X86Rows.rows(out, from, to),
        X86Rows.vectors(gate, from, to),
        0,
        0,
        0);
  }
}
