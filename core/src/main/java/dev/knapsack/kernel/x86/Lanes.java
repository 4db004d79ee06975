package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;

import dev.knapsack.kernel.x86.Operand.Vector;

/** The sum of a vector's lanes. */
final class Lanes {
  private Lanes() {}

  /**
   * Adds up eight float32 lanes: halves, then quarters, then the last two.
   *
   * @param sum receives the result in its lowest lane
   * @param t may be overwritten
   */
  static void sum(Assembler a, Vector sum, Vector t) {
    Vector low = sum.as(128);
    Vector other = t.as(128);
    a.extract(VEXTRACTF128, other, sum, 1);
    a.emit(VADDPS, low, low, other);
    a.emit(VMOVHLPS, other, low, low);
    a.emit(VADDPS, low, low, other);
    a.emit(VMOVSHDUP, other, low);
    a.emit(VADDSS, low, low, other);
  }
}
