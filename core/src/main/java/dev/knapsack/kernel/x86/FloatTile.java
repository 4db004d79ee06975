package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.xmm;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Generates the product of a few rows of weights in a floating-point format and a few tokens in
 * float32, all sums in registers. A sum is added up in the same order whatever the tile's shape.
 *
 * <p>Arguments of the code: the first row, the first token's x, its first output, the number of
 * columns / 8, bytes between rows, bytes between tokens in x, bytes between tokens in the outputs.
 */
final class FloatTile {
  /** Columns at a time. */
  static final int STEP = 8;

  private final Assembler a = new Assembler();
  private final String format;
  private final int rows;
  private final int tokens;

  private FloatTile(String format, int rows, int tokens) {
    this.format = format;
    this.rows = rows;
    this.tokens = tokens;
  }

  static boolean has(String format) {
    return switch (format) {
      case "F32", "F16", "BF16" -> true;
      default -> false;
    };
  }

  /** The most rows, with this many tokens: twelve sums at the most. */
  static int mostRows(int tokens) {
    return tokens == 1 ? 4 : 3;
  }

  static final int MOST_TOKENS = 4;

  static byte[] code(String format, int rows, int tokens) {
    return new FloatTile(format, rows, tokens).generate();
  }

  private Vector sum(int row, int token) {
    return ymm(row * tokens + token);
  }

  private byte[] generate() {
    Label loop = new Label();
    a.move(RAX, Code.FOURTH);
    a.address(R10, R8.at(R8, 2, 0));
    a.address(R11, R9.at(R9, 2, 0));
    for (int i = 0; i < rows * tokens; i++) {
      a.emit(VXORPS, ymm(i), ymm(i), ymm(i));
    }
    a.align(32);
    a.place(loop);
    for (int r = 0; r < rows; r++) {
      weights(ymm(12 + r), at(RDI, R8, R10, r));
    }
    for (int t = 0; t < tokens; t++) {
      Memory x = at(RSI, R9, R11, t);
      if (tokens > 1) {
        a.emit(VMOVUPS, ymm(15), x);
      }
      for (int r = 0; r < rows; r++) {
        a.emit(VFMADD231PS, sum(r, t), ymm(12 + r), tokens > 1 ? ymm(15) : x);
      }
    }
    a.add(RDI, STEP * (format.equals("F32") ? 4 : 2));
    a.add(RSI, STEP * Float.BYTES);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    for (int t = 0; t < tokens; t++) {
      for (int r = 0; r < rows; r++) {
        finish(sum(r, t), RDX.at(r * Float.BYTES));
      }
      a.add(RDX, RAX);
    }
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  private static Memory at(Register base, Register stride, Register threeTimes, int i) {
    return switch (i) {
      case 0 -> base.at(0);
      case 1, 2 -> base.at(stride, i, 0);
      default -> base.at(threeTimes, 1, 0);
    };
  }

  private void weights(Vector to, Memory from) {
    switch (format) {
      case "F32" -> a.emit(VMOVUPS, to, from);
      case "F16" -> a.emit(VCVTPH2PS, to, from);
      default -> {
        a.emit(VPMOVZXWD, to, from);
        a.emit(VPSLLD, to, to, 16);
      }
    }
  }

  /** Adds up the lanes, in registers that hold weights no more. */
  private void finish(Vector sum, Memory to) {
    Vector low = sum.as(128);
    a.extract(VEXTRACTF128, xmm(12), sum, 1);
    a.emit(VADDPS, low, low, xmm(12));
    a.emit(VMOVHLPS, xmm(12), low, low);
    a.emit(VADDPS, low, low, xmm(12));
    a.emit(VMOVSHDUP, xmm(12), low);
    a.emit(VADDSS, low, low, xmm(12));
    a.store(VMOVSS_STORE, to, low);
  }
}
