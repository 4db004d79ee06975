package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;

/**
 * Generates the product of rows of weights in a floating-point format and a few tokens in float32:
 * tile by tile of a few rows, all sums of one in registers. A sum is added up in the same order
 * whatever the tile's shape.
 *
 * <p>Weights of 16 bits become float32: bfloat16 has a dot product of its own, which would round
 * the activations, and these formats are where nothing is rounded.
 *
 * <p>Arguments of the code: the first row, the first token's x, its first output, the number of
 * tiles, bytes in a row, bytes between tokens in x, bytes between tokens in the outputs.
 */
final class FloatTile {
  private static final Strided ROWS = new Strided(RDI, R8, R10);
  private static final Strided TOKENS = new Strided(RSI, R9, R11, RAX);

  /** The address of the weights that follow these rows; after them, of the outputs. */
  private static final Register NEXT = RDX;

  private static final Register TILES = RBP;
  private static final Register X = R12;
  private static final Register OUTPUTS = R13;

  private final Assembler a = new Assembler();
  private final String format;
  private final int bits;
  private final int rows;
  private final int tokens;

  private FloatTile(String format, Isa isa, int rows, int tokens) {
    this.format = format;
    this.bits = isa.bits();
    this.rows = rows;
    this.tokens = tokens;
  }

  static boolean has(String format) {
    return switch (format) {
      case "F32", "F16", "BF16" -> true;
      default -> false;
    };
  }

  /** Columns at a time. */
  static int columns(Isa isa) {
    return isa.bits() / Float.SIZE;
  }

  /** The most rows, with this many tokens: registers hold their sums, the weights, and one x. */
  static int mostRows(Isa isa, int tokens) {
    return tokens == 1 || isa.registers() == 32 ? 4 : 3;
  }

  static int mostTokens(Isa isa) {
    return isa.registers() == 32 ? 6 : 4;
  }

  static byte[] code(String format, Isa isa, int rows, int tokens) {
    return new FloatTile(format, isa, rows, tokens).generate();
  }

  private Vector vector(int number) {
    return new Vector(number, bits);
  }

  private Vector weights(int row) {
    return vector(row);
  }

  private Vector sum(int row, int token) {
    return vector(rows + 1 + row * tokens + token);
  }

  private byte[] generate() {
    Label next = new Label();
    Label loop = new Label();
    Vector x = vector(rows);
    int bytes = bits / Float.SIZE * (format.equals("F32") ? 4 : 2);
    a.push(TILES);
    a.push(X);
    a.push(OUTPUTS);
    a.move(TILES, RCX);
    a.move(X, RSI);
    a.move(OUTPUTS, RDX);
    ROWS.prepare(a);
    a.place(next);
    a.move(RSI, X);
    TOKENS.prepare(a);
    for (int i = 0; i < rows * tokens; i++) {
      Vector sum = sum(0, i);
      a.emit(VXORPS, sum, sum, sum);
    }
    a.address(NEXT, ROWS.at(rows, 0));
    a.move(RCX, R8);
    a.shiftRight(RCX, Integer.numberOfTrailingZeros(bytes));
    a.align(32);
    a.place(loop);
    // Rows are short: the processor would notice late that they are read in order.
    for (int at = 0; at < rows * bytes; at += Packer.LINE) {
      a.prefetch(NEXT.at(at));
    }
    for (int r = 0; r < rows; r++) {
      weights(weights(r), ROWS.at(r, 0));
    }
    for (int t = 0; t < tokens; t++) {
      Memory from = TOKENS.at(t, 0);
      if (tokens > 1) {
        a.emit(VMOVUPS, x, from);
      }
      for (int r = 0; r < rows; r++) {
        a.emit(VFMADD231PS, sum(r, t), weights(r), tokens > 1 ? x : from);
      }
    }
    a.add(RDI, bytes);
    a.add(NEXT, rows * bytes);
    a.add(RSI, bits / Byte.SIZE);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    a.move(RDX, OUTPUTS);
    a.move(RAX, Code.FOURTH.plus(3 * Long.BYTES));
    for (int t = 0; t < tokens; t++) {
      for (int r = 0; r < rows; r++) {
        a.store(VMOVSS_STORE, RDX.at(r * Float.BYTES), total(sum(r, t)));
      }
      a.add(RDX, RAX);
    }
    a.add(OUTPUTS, rows * Float.BYTES);
    a.address(RDI, ROWS.at(rows - 1, 0));
    a.subtract(TILES, 1);
    a.jump(Condition.NOT_EQUAL, next);
    a.zeroUpper();
    a.pop(OUTPUTS);
    a.pop(X);
    a.pop(TILES);
    a.ret();
    return a.finish();
  }

  /** All lanes of a sum; registers that held weights hold none any more. */
  private Vector total(Vector sum) {
    Vector total = sum;
    if (bits == 512) {
      total = ymm(0);
      a.extract(VEXTRACTF64X4, total, sum, 1);
      a.emit(VADDPS, total, total, sum.as(256));
    }
    Lanes.sum(a, total, ymm(1));
    return total.as(128);
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
