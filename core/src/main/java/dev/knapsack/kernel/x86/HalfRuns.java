package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.RowDot.X;

import dev.knapsack.kernel.x86.Operand.Memory;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.util.function.IntUnaryOperator;

/** Blocks of 256 in sixteen halves of runs with signed scales of 8 bits or fewer. */
final class HalfRuns {
  /**
   * The factor that makes good that {@link #words scales} stand in the upper halves of words, where
   * they keep their sign. All sums of products fit 32 bits.
   */
  static final float FACTOR = 1f / 256;

  private HalfRuns() {}

  /** Picks for each half of a register the byte of a scale, by its index, to its eight words. */
  static Memory words(Assembler a, IntUnaryOperator scale) {
    return Constants.bytes(a, 32, i -> i % 2 == 0 ? 0x80 : scale.applyAsInt(i / 16));
  }

  /** A half-precision number to all lanes. */
  static void half(Assembler a, Vector to, Memory from) {
    a.emit(VPBROADCASTW, to.as(128), from);
    a.emit(VCVTPH2PS, to, to.as(128));
  }

  /**
   * Adds the products of sixteen scales, the lower half of a register, and the sums of x, by a
   * factor.
   */
  static void offsets(
      Assembler a, Vector scales, Vector factor, Vector offsets, Vector t, Vector u) {
    a.emit(VPMOVSXBD, t, scales.as(128));
    a.emit(VPSRLDQ, u.as(128), scales.as(128), 8);
    a.emit(VPMOVSXBD, u, u.as(128));
    a.emit(VCVTDQ2PS, t, t);
    a.emit(VCVTDQ2PS, u, u);
    a.emit(VMULPS, t, t, X.at(Arranger.HALF_SUMS));
    a.emit(VFMADD231PS, t, u, X.at(Arranger.HALF_SUMS + 32));
    a.emit(VFMADD231PS, offsets, t, factor);
  }
}
