package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Q8Activations;

/**
 * Generates the product of a matrix and one token: a dot product for each row, on the weights as
 * they lie in their file, with activations in 8 bits.
 *
 * <p>A block's codes meet 32 codes of x in two instructions ({@code vpmaddubsw}, {@code vpmaddwd});
 * the integer sums are scaled in float32. Memory is the limit of this product, not arithmetic.
 *
 * <p>Arguments of the code: the first row's address, x, the first output, the number of rows, bytes
 * in a row, bytes in x. Rows are taken four at a time, so that x is loaded once for them.
 */
final class RowDot {
  // What lies where, for a RowCode to know.

  /** Where x is read: the first of the block's codes. */
  static final Register X = RAX;

  /** For 256 columns and more: where the sums of x lie one after the other. */
  static final Register SUMS = RSP;

  /** Free for a block's own use. */
  static final int[] TEMPORARY = {8, 9, 10, 11, 12};

  /** Sixteen ones of 16 bits. */
  static final Vector ONES = ymm(14);

  /** Thirty-two times 0x0F. */
  static final Vector LOW_BITS = ymm(15);

  private static final int X_BLOCK = Q8Activations.FORMAT.blockBytes();

  private final Assembler a = new Assembler();
  private final RowCode format;

  private RowDot(RowCode format) {
    this.format = format;
  }

  static byte[] code(RowCode format) {
    return new RowDot(format).generate();
  }

  private byte[] generate() {
    a.push(RBP);
    a.move(RBP, RSP);
    if (format.sums() > 0) {
      layOutSums();
    }
    a.emit(VPCMPEQW, ONES, ONES, ONES);
    a.emit(VPSRLW, ONES, ONES, 15);
    a.emit(VPSLLW, LOW_BITS, ONES, 4);
    a.emit(VPSUBW, LOW_BITS, LOW_BITS, ONES);
    a.emit(VPSLLW, ymm(8), LOW_BITS, 8);
    a.emit(VPOR, LOW_BITS, LOW_BITS, ymm(8));
    a.address(R10, R8.at(R8, 2, 0));
    a.address(R11, RSI.at(R9, 1, 0));
    int most = format.rows();
    if (most > 1) {
      rows(most);
    }
    rows(1);
    a.zeroUpper();
    a.move(RSP, RBP);
    a.pop(RBP);
    a.ret();
    return a.finish();
  }

  /** Copies the sums of x, one or two a block, to the stack, one after the other. */
  private void layOutSums() {
    int each = format.sums() * Float.BYTES;
    int from = format.sums() == 1 ? Q8Activations.SUM : Q8Activations.HALF_SUMS;
    // Blocks of 48 bytes each leave 4 or 8: a sixth at the most, rounded to whole vectors.
    Label loop = new Label();
    a.move(RAX, RSI);
    a.address(R11, RSI.at(R9, 1, 0));
    a.move(R10, R9);
    a.shiftRight(R10, 2);
    a.subtract(RSP, R10);
    a.and(RSP, -64);
    a.move(R10, RSP);
    a.place(loop);
    if (format.sums() == 1) {
      a.emit(VMOVSS, xmm(0), RAX.at(from));
      a.store(VMOVSS_STORE, R10.at(0), xmm(0));
    } else {
      a.emit(VMOVQ, xmm(0), RAX.at(from));
      a.store(VMOVQ_STORE, R10.at(0), xmm(0));
    }
    a.add(RAX, X_BLOCK);
    a.add(R10, each);
    a.compare(RAX, R11);
    a.jump(Condition.BELOW, loop);
  }

  /** As many rows as there are, {@code count} at a time. */
  private void rows(int count) {
    Label next = new Label();
    Label done = new Label();
    a.place(next);
    a.compare(RCX, count);
    a.jump(Condition.BELOW, done);
    for (int r = 0; r < count; r++) {
      a.emit(VXORPS, ymm(r), ymm(r), ymm(r));
      a.emit(VXORPS, ymm(4 + r), ymm(4 + r), ymm(4 + r));
    }
    a.move(X, RSI);
    if (format.sums() > 0) {
      a.move(R9, SUMS);
    }
    Label block = new Label();
    a.align(16);
    a.place(block);
    format.begin(a);
    for (int r = 0; r < count; r++) {
      format.block(a, row(r), ymm(r), ymm(4 + r));
    }
    a.add(RDI, format.bytes());
    a.add(X, format.columns() / 32 * X_BLOCK);
    if (format.sums() > 0) {
      a.add(R9, format.columns() / 32 * format.sums() * Float.BYTES);
    }
    a.compare(X, R11);
    a.jump(Condition.BELOW, block);
    for (int r = 0; r < count; r++) {
      finishRow(r);
    }
    if (count == 4) {
      a.add(RDI, R10);
    }
    a.add(RDX, count * Float.BYTES);
    a.subtract(RCX, count);
    a.jump(next);
    a.place(done);
  }

  private static Memory row(int r) {
    return switch (r) {
      case 0 -> RDI.at(0);
      case 1 -> RDI.at(R8, 1, 0);
      case 2 -> RDI.at(R8, 2, 0);
      default -> RDI.at(R10, 1, 0);
    };
  }

  private void finishRow(int r) {
    Vector sum = ymm(r);
    Vector offsets = ymm(4 + r);
    if (format.offset() != 0) {
      float offset = format.offset();
      a.emit(VBROADCASTSS, ymm(8), Constants.of(a, offset));
      a.emit(VFMADD231PS, sum, offsets, ymm(8));
    }
    Vector low = sum.as(128);
    a.extract(VEXTRACTF128, xmm(8), sum, 1);
    a.emit(VADDPS, low, low, xmm(8));
    a.emit(VMOVHLPS, xmm(8), low, low);
    a.emit(VADDPS, low, low, xmm(8));
    a.emit(VMOVSHDUP, xmm(8), low);
    a.emit(VADDSS, low, low, xmm(8));
    a.store(VMOVSS_STORE, RDX.at(r * Float.BYTES), low);
  }
}
