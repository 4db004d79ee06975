package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Vector;

/** Generates norms and sums of rows of a multiple of 8 numbers, in place. */
final class RowOperationCode {
  private static final int VECTOR = 32;

  private final Assembler a = new Assembler();

  private RowOperationCode() {}

  /**
   * {@code x += factor · y}, where all rows of x meet the same y. Arguments of the code: x, y,
   * nothing, the number of rows, eights of a row, the bits of the factor.
   */
  static byte[] add() {
    return new RowOperationCode().generateAdd();
  }

  private byte[] generateAdd() {
    Vector factor = ymm(2);
    Label row = new Label();
    a.move(xmm(2), R9);
    a.emit(VBROADCASTSS, factor, xmm(2));
    a.place(row);
    a.move(RAX, RSI);
    a.move(R10, R8);
    Label loop = new Label();
    a.place(loop);
    a.emit(VMOVUPS, ymm(0), RDI.at(0));
    a.emit(VFMADD231PS, ymm(0), factor, RAX.at(0));
    a.store(VMOVUPS_STORE, RDI.at(0), ymm(0));
    a.add(RDI, VECTOR);
    a.add(RAX, VECTOR);
    next(loop, R10);
    return end(row);
  }

  /**
   * A norm: of rows less their mean, times weights, and more by summands, if each is wanted.
   * Arguments of the code: x, the weights, the summands, the number of rows, eights of a row, the
   * bits of ε, and those of the number of a row's numbers.
   */
  static byte[] norm(boolean centred, boolean weight, boolean bias) {
    return new RowOperationCode().generateNorm(centred, weight, bias);
  }

  private byte[] generateNorm(boolean centred, boolean weight, boolean bias) {
    Vector sum = ymm(0);
    Vector x = ymm(1);
    Vector mean = ymm(2);
    Vector factor = ymm(3);
    Vector count = xmm(4);
    Vector epsilon = xmm(5);
    Label row = new Label();
    a.move(epsilon, R9);
    a.emit(VMOVSS, count, Code.FOURTH);
    a.emit(VBROADCASTSS, ymm(6), Constants.of(a, 1));
    a.place(row);
    if (centred) {
      Label loop = begin(sum);
      a.emit(VADDPS, sum, sum, RAX.at(0));
      a.add(RAX, VECTOR);
      next(loop, R10);
      Lanes.sum(a, sum, x);
      a.emit(VDIVSS, xmm(0), xmm(0), count);
      a.emit(VBROADCASTSS, mean, xmm(0));
    }
    Label squares = begin(sum);
    a.emit(VMOVUPS, x, RAX.at(0));
    if (centred) {
      a.emit(VSUBPS, x, x, mean);
    }
    a.emit(VFMADD231PS, sum, x, x);
    a.add(RAX, VECTOR);
    next(squares, R10);
    Lanes.sum(a, sum, x);
    a.emit(VDIVSS, xmm(0), xmm(0), count);
    a.emit(VADDSS, xmm(0), xmm(0), epsilon);
    a.emit(VBROADCASTSS, sum, xmm(0));
    a.emit(VSQRTPS, sum, sum);
    a.emit(VDIVPS, factor, ymm(6), sum);
    a.move(RAX, RSI);
    a.move(R11, RDX);
    a.move(R10, R8);
    Label scaled = new Label();
    a.place(scaled);
    a.emit(VMOVUPS, x, RDI.at(0));
    if (centred) {
      a.emit(VSUBPS, x, x, mean);
    }
    a.emit(VMULPS, x, x, factor);
    if (weight) {
      a.emit(VMULPS, x, x, RAX.at(0));
      a.add(RAX, VECTOR);
    }
    if (bias) {
      a.emit(VADDPS, x, x, R11.at(0));
      a.add(R11, VECTOR);
    }
    a.store(VMOVUPS_STORE, RDI.at(0), x);
    a.add(RDI, VECTOR);
    next(scaled, R10);
    return end(row);
  }

  /** Begins a loop over a row, which RAX reads and R10 counts. */
  private Label begin(Vector sum) {
    Label loop = new Label();
    a.emit(VXORPS, sum, sum, sum);
    a.move(RAX, RDI);
    a.move(R10, R8);
    a.place(loop);
    return loop;
  }

  private void next(Label loop, Register counter) {
    a.subtract(counter, 1);
    a.jump(Condition.NOT_EQUAL, loop);
  }

  private byte[] end(Label row) {
    next(row, RCX);
    a.zeroUpper();
    a.ret();
    return a.finish();
  }
}
