package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;

import dev.knapsack.kernel.x86.Operand.Vector;

/** The exponential function of eight numbers. */
final class Exponential {
  private Exponential() {}

  /** The least that still has a normal exponential. */
  private static final float LEAST = -87.33654f;

  /**
   * The Taylor series, highest power first: for arguments up to ln 2 / 2, within a unit in the last
   * place.
   */
  private static final float[] SERIES = {
    1 / 5040f, 1 / 720f, 1 / 120f, 1 / 24f, 1 / 6f, 0.5f, 1, 1
  };

  /** {@code x = e^x} for x ≤ 0: 2 to a whole power, times a series. NaN stays; registers 1–5. */
  static void emit(Assembler a, Vector x) {
    Vector n = ymm(1);
    Vector r = ymm(2);
    Vector y = ymm(3);
    Vector c = ymm(4);
    Vector small = ymm(5);
    a.emit(VBROADCASTSS, c, Constants.of(a, LEAST));
    a.emit(VCMPPS, small, x, c, LESS);
    a.emit(VMAXPS, x, c, x);
    a.emit(VBROADCASTSS, c, Constants.of(a, (float) (1 / Math.log(2))));
    a.emit(VMULPS, n, x, c);
    a.emit(VCVTPS2DQ, n, n);
    a.emit(VCVTDQ2PS, r, n);
    float high = 355 / 512f;
    a.emit(VBROADCASTSS, c, Constants.of(a, high));
    a.emit(VFNMADD231PS, x, r, c);
    a.emit(VBROADCASTSS, c, Constants.of(a, (float) (Math.log(2) - high)));
    a.emit(VFNMADD231PS, x, r, c);
    a.emit(VBROADCASTSS, y, Constants.of(a, SERIES[0]));
    for (int i = 1; i < SERIES.length; i++) {
      a.emit(VBROADCASTSS, c, Constants.of(a, SERIES[i]));
      a.emit(VFMADD213PS, y, x, c);
    }
    a.emit(VPSLLD, n, n, 23);
    a.emit(VPADDD, y, y, n);
    a.emit(VPANDN, x, small, y);
  }

  private static final int LESS = 1;
}
