package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;

/**
 * Generates {@code out = gate / (1 + e^−gate) · up}.
 *
 * <p>Arguments of the code: gate, up, out, the number of eights.
 */
final class SiluCode {
  private static final int VECTOR = 32;
  private static final int LESS = 1;

  private SiluCode() {}

  static byte[] code() {
    Assembler a = new Assembler();
    Label loop = new Label();
    a.emit(VBROADCASTSS, ymm(10), Constants.of(a, 1));
    a.emit(VBROADCASTSS, ymm(11), Constants.of(a, -0f));
    a.emit(VXORPS, ymm(12), ymm(12), ymm(12));
    a.place(loop);
    a.emit(VMOVUPS, ymm(8), RDI.at(0));
    // e^−|x| does not overflow; for x below zero the fraction is e^−|x| / (1 + e^−|x|).
    a.emit(VPOR, ymm(0), ymm(8), ymm(11));
    Exponential.emit(a, ymm(0));
    a.emit(VADDPS, ymm(6), ymm(0), ymm(10));
    a.emit(VCMPPS, ymm(7), ymm(8), ymm(12), LESS);
    a.emit(VPAND, ymm(0), ymm(0), ymm(7));
    a.emit(VPANDN, ymm(7), ymm(7), ymm(10));
    a.emit(VPOR, ymm(0), ymm(0), ymm(7));
    a.emit(VMULPS, ymm(0), ymm(0), ymm(8));
    a.emit(VDIVPS, ymm(0), ymm(0), ymm(6));
    a.emit(VMULPS, ymm(0), ymm(0), RSI.at(0));
    a.store(VMOVUPS_STORE, RDX.at(0), ymm(0));
    a.add(RDI, VECTOR);
    a.add(RSI, VECTOR);
    a.add(RDX, VECTOR);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    a.zeroUpper();
    a.ret();
    return a.finish();
  }
}
