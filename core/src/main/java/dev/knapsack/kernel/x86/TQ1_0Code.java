package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.util.function.IntUnaryOperator;

/**
 * Blocks of 256 with one scale and five digits of base 3 in a byte; see {@link
 * dev.knapsack.tensor.TQ1_0}.
 *
 * <p>A byte is a fraction in steps of 1/256. Of three times that, the integer part is a digit and
 * the rest the next fraction. So a digit is 0 below 1/3 and 2 above 2/3, which takes two
 * comparisons. Bytes are compared as signed numbers: fractions are kept less 128, and stay so when
 * they are multiplied by odd numbers.
 */
record TQ1_0Code() implements RowCode {
  private static final int SCALE = 52;

  @Override
  public int bytes() {
    return 54;
  }

  @Override
  public int columns() {
    return 256;
  }

  @Override
  public float offset() {
    return -1;
  }

  @Override
  public void group(
      Assembler a, Products products, Memory w, Vector sum, Vector more, Vector offsets) {
    Vector fractions = ymm(3);
    Vector scaled = ymm(4);
    Vector q = ymm(8);
    Vector t = ymm(9);
    Vector dot = ymm(10);
    a.emit(VXORPS, scaled, scaled, scaled);
    a.emit(VMOVDQU, ymm(5), third(a));
    a.emit(VMOVDQU, ymm(6), twoThirds(a));
    for (int run = 0; run < 8; run++) {
      if (run > 0 && run < 5) {
        // Shorter than anew.
        a.emit(VPADDB, t, fractions, fractions);
        a.emit(VPADDB, fractions, fractions, t);
      } else {
        fractions(a, w, run, fractions, t);
      }
      digits(a, fractions, q, t, ymm(5), ymm(6));
      products.unsigned(dot, q, X.at(32 * run));
      a.emit(VCVTDQ2PS, dot, dot);
      a.emit(VBROADCASTSS, t, X.at(Arranger.SCALES + 4 * run));
      a.emit(VFMADD231PS, scaled, dot, t);
    }
    HalfRuns.half(a, t, w.plus(SCALE));
    a.emit(VFMADD231PS, sum, scaled, t);
    a.emit(VFMADD231PS, offsets, t, X.at(Arranger.SUMS));
  }

  @Override
  public void codes(Assembler a, Memory w, int run, Vector q, Vector t, Vector u) {
    fractions(a, w, run, u, t);
    digits(a, u, q, t, third(a), twoThirds(a));
  }

  /**
   * Fractions that begin with the digits of a run.
   *
   * @param t may be overwritten
   */
  private static void fractions(Assembler a, Memory w, int run, Vector to, Vector t) {
    switch (run) {
      case 5, 6 -> a.emit(VBROADCASTI128, to, w.plus(32));
      case 7 -> {
        a.emit(VPBROADCASTD, to, w.plus(48));
        a.emit(VINSERTI128, to, to, w.plus(32), 0);
      }
      default -> a.emit(VMOVDQU, to, w);
    }
    a.emit(VPXOR, to, to, Constants.bytes(a, 32, i -> 128));
    if (run > 0) {
      multiply(a, to, t, i -> power(run, i));
    }
  }

  /** The factor of a run's byte {@code i}: 3 for each digit that lies before. */
  private static int power(int run, int i) {
    int digit =
        switch (run) {
          case 5 -> i / 16;
          case 6 -> 2 + i / 16;
          case 7 -> i < 16 ? 4 : (i - 16) / 4;
          default -> run;
        };
    return (int) Math.pow(3, digit);
  }

  /** Multiplies bytes, modulo 256, by factors that each two share. */
  private static void multiply(Assembler a, Vector v, Vector t, IntUnaryOperator factor) {
    Memory factors = Constants.bytes(a, 32, i -> i % 2 == 0 ? factor.applyAsInt(i) : 0);
    a.emit(VPAND, t, v, Constants.bytes(a, 32, i -> i % 2 == 0 ? 0 : 255));
    a.emit(VPMULLW, t, t, factors);
    a.emit(VPMULLW, v, v, factors);
    a.emit(VPAND, v, v, Constants.bytes(a, 32, i -> i % 2 == 0 ? 255 : 0));
    a.emit(VPOR, v, v, t);
  }

  /** The largest fraction below 1/3. */
  private static Memory third(Assembler a) {
    return Constants.bytes(a, 32, i -> 256 / 3 - 128);
  }

  /** The largest fraction below 2/3. */
  private static Memory twoThirds(Assembler a) {
    return Constants.bytes(a, 32, i -> 512 / 3 - 128);
  }

  private static void digits(
      Assembler a, Vector fractions, Vector q, Vector t, Operand third, Operand twoThirds) {
    a.emit(VPCMPGTB, q, fractions, third);
    a.emit(VPCMPGTB, t, fractions, twoThirds);
    // A comparison that holds is −1.
    a.emit(VPADDB, q, q, t);
    a.emit(VPABSB, q, q);
  }

  @Override
  public Tile tile(Isa isa) {
    return new Tile(isa, 2, false);
  }

  @Override
  public void packScales(Packer packer, Assembler a) {
    SmallCode.halves(a, ymm(0), r -> Packer.row(r).plus(SCALE));
    packer.packWhole(ymm(0), offset());
  }
}
