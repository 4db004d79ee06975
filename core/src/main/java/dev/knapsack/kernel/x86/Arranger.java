package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.tensor.Q8Activations;

/**
 * Generates what lays the activations of one token out for {@link RowDot}: in groups of 256
 * columns, of which codes, scales and sums each lie together. Blocks after the last whole group
 * stay as they are.
 *
 * <p>Arguments of the code: x, what is laid out, nothing, the number of groups, the number of
 * blocks after them.
 */
final class Arranger {
  /** The order of a group's codes. */
  enum Order {
    /** By column. */
    NATURAL,
    /**
     * The first halves of blocks 0 and 4, their second halves, then the same of 1 and 5, 2 and 6, 3
     * and 7: as weights of 4 bits come out of their bytes.
     */
    PAIRED
  }

  static final int COLUMNS = 256;

  /** The first byte of a group's eight scales: its codes come first. */
  static final int SCALES = 256;

  /** The first byte of the sums of a group's eight blocks. */
  static final int SUMS = 288;

  /** The first byte of the sums of the halves of its blocks. */
  static final int HALF_SUMS = 320;

  /** Bytes of a group. */
  static final int BYTES = 384;

  private static final int BLOCK = Q8Activations.FORMAT.blockBytes();
  private static final int BLOCKS = 8;

  private Arranger() {}

  static byte[] code(Order order) {
    Assembler a = new Assembler();
    Label group = new Label();
    Label rest = new Label();
    Label block = new Label();
    Label done = new Label();
    a.place(group);
    a.compare(RCX, 1);
    a.jump(Condition.BELOW, rest);
    switch (order) {
      case NATURAL -> {
        for (int i = 0; i < BLOCKS; i++) {
          a.emit(VMOVDQU, ymm(0), RDI.at(BLOCK * i));
          a.store(VMOVDQU_STORE, RSI.at(32 * i), ymm(0));
        }
      }
      case PAIRED -> {
        for (int i = 0; i < BLOCKS; i++) {
          int from = BLOCK * (i / 2) + 16 * (i % 2);
          a.emit(VMOVDQU, xmm(0), RDI.at(from));
          a.emit(VINSERTI128, ymm(0), ymm(0), RDI.at(from + 4 * BLOCK), 1);
          a.store(VMOVDQU_STORE, RSI.at(32 * i), ymm(0));
        }
      }
    }
    for (int i = 0; i < BLOCKS; i++) {
      a.emit(VMOVSS, xmm(0), RDI.at(BLOCK * i + Q8Activations.SCALE));
      a.emit(VMOVSS, xmm(1), RDI.at(BLOCK * i + Q8Activations.SUM));
      a.emit(VMOVQ, xmm(2), RDI.at(BLOCK * i + Q8Activations.HALF_SUMS));
      a.store(VMOVSS_STORE, RSI.at(SCALES + 4 * i), xmm(0));
      a.store(VMOVSS_STORE, RSI.at(SUMS + 4 * i), xmm(1));
      a.store(VMOVQ_STORE, RSI.at(HALF_SUMS + 8 * i), xmm(2));
    }
    a.add(RDI, BLOCKS * BLOCK);
    a.add(RSI, BYTES);
    a.subtract(RCX, 1);
    a.jump(group);
    a.place(rest);
    a.place(block);
    a.compare(R8, 1);
    a.jump(Condition.BELOW, done);
    for (int at = 0; at < BLOCK; at += 16) {
      a.emit(VMOVDQU, xmm(0), RDI.at(at));
      a.store(VMOVDQU_STORE, RSI.at(at), xmm(0));
    }
    a.add(RDI, BLOCK);
    a.add(RSI, BLOCK);
    a.subtract(R8, 1);
    a.jump(block);
    a.place(done);
    a.zeroUpper();
    a.ret();
    return a.finish();
  }
}
