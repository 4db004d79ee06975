package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
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

  private static final Strided ROWS = new Strided(RDI, R8, R10);
  private static final Strided TOKENS = new Strided(RSI, R9, R11);

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
    ROWS.prepare(a);
    TOKENS.prepare(a);
    for (int i = 0; i < rows * tokens; i++) {
      a.emit(VXORPS, ymm(i), ymm(i), ymm(i));
    }
    a.align(32);
    a.place(loop);
    for (int r = 0; r < rows; r++) {
      weights(ymm(12 + r), ROWS.at(r, 0));
    }
    for (int t = 0; t < tokens; t++) {
      Memory x = TOKENS.at(t, 0);
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
        // Registers that held weights hold none any more.
        Lanes.sum(a, sum(r, t), ymm(12));
        a.store(VMOVSS_STORE, RDX.at(r * Float.BYTES), sum(r, t).as(128));
      }
      a.add(RDX, RAX);
    }
    a.zeroUpper();
    a.ret();
    return a.finish();
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
}
