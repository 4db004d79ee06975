package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Vector;
import dev.knapsack.tensor.Q8Activations;

/**
 * Generates the product of a matrix and one token: a dot product for each row, on the weights as
 * they lie in their file, with activations in 8 bits, laid out by {@link Arranger}.
 *
 * <p>Codes meet codes of x as {@link Products} has it; the integer sums are scaled in float32.
 *
 * <p>Arguments of the code: the first row, x, the first output, the number of rows, bytes of x's
 * groups, bytes of x after them.
 */
final class RowDot {
  // What lies where, for a RowCode to know.

  /** The address in x: of the group, or of the block after the groups. */
  static final Register X = RAX;

  /** Thirty-two times 0x0F. */
  static final Vector LOW_BITS = ymm(15);

  private static final Vector SUM = ymm(0);
  private static final Vector MORE = ymm(1);
  private static final Vector OFFSETS = ymm(2);

  private final Assembler a = new Assembler();
  private final RowCode format;
  private final Products products;

  private RowDot(RowCode format, Isa isa) {
    this.format = format;
    this.products = new Products(a, isa);
  }

  static byte[] code(RowCode format, Isa isa) {
    return new RowDot(format, isa).generate();
  }

  private byte[] generate() {
    products.prepare();
    a.emit(VMOVDQU, LOW_BITS, Constants.bytes(a, 32, i -> 0x0F));
    a.address(R10, RSI.at(R8, 1, 0));
    a.address(R11, R10.at(R9, 1, 0));
    Label row = new Label();
    a.place(row);
    for (Vector v : new Vector[] {SUM, MORE, OFFSETS}) {
      a.emit(VXORPS, v, v, v);
    }
    a.move(X, RSI);
    groups();
    if (format instanceof SmallCode small) {
      rest(small);
    }
    finishRow();
    a.add(RDX, Float.BYTES);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, row);
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  private void groups() {
    Label group = new Label();
    Label done = new Label();
    a.compare(X, R10);
    a.jump(Condition.AT_LEAST, done);
    a.align(16);
    a.place(group);
    format.group(a, products, RDI.at(0), SUM, MORE, OFFSETS);
    a.add(RDI, Arranger.COLUMNS / format.columns() * format.bytes());
    a.add(X, Arranger.BYTES);
    a.compare(X, R10);
    a.jump(Condition.BELOW, group);
    a.place(done);
  }

  private void rest(SmallCode small) {
    Label block = new Label();
    Label done = new Label();
    a.compare(X, R11);
    a.jump(Condition.AT_LEAST, done);
    a.place(block);
    small.block(a, products, RDI.at(0), SUM, OFFSETS);
    a.add(RDI, small.bytes());
    a.add(X, Q8Activations.FORMAT.blockBytes());
    a.compare(X, R11);
    a.jump(Condition.BELOW, block);
    a.place(done);
  }

  private void finishRow() {
    a.emit(VADDPS, SUM, SUM, MORE);
    if (format.offset() != 0) {
      a.emit(VBROADCASTSS, ymm(8), Constants.of(a, format.offset()));
      a.emit(VFMADD231PS, SUM, OFFSETS, ymm(8));
    }
    Lanes.sum(a, SUM, ymm(8));
    a.store(VMOVSS_STORE, RDX.at(0), SUM.as(128));
  }
}
