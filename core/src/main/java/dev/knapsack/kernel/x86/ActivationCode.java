package dev.knapsack.kernel.x86;

import static dev.knapsack.kernel.x86.Instruction.*;
import static dev.knapsack.kernel.x86.Operand.ymm;
import static dev.knapsack.kernel.x86.Register.*;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.x86.Assembler.Condition;
import dev.knapsack.kernel.x86.Operand.Vector;
import java.util.EnumSet;
import java.util.Set;

/**
 * Generates {@code out = activation(x)}, or {@code out = activation(x) · up}.
 *
 * <p>Arguments of the code: x, up, out, the number of eights.
 */
final class ActivationCode {
  /** The activations that there is code for. */
  static final Set<Activation> ALL =
      Set.copyOf(EnumSet.of(Activation.SILU, Activation.GELU, Activation.GELU_ERF));

  private static final int VECTOR = 32;
  private static final int LESS = 1;

  /** Of the tanh approximation as a sigmoid: 2 √(2/π), and that by 0.044715. */
  private static final float GELU_SCALE = 1.5957692f;

  private static final float GELU_CUBE = 0.07135481f;

  /** Of the tail of the normal distribution: {@code t = 1 / (1 + a |x|)}. */
  private static final float TAIL = 0.21213204f;

  /** Highest power of t first: see {@code Functions#gelu} of the vector provider. */
  private static final float[] TAIL_POLYNOMIAL = {
    -0.06471707f,
    0.24254839f,
    -0.2556136f,
    0.27319798f,
    -0.046815965f,
    0.107218295f,
    0.07424117f,
    0.085345976f,
    0.08459481f
  };

  private static final Vector X = ymm(8);
  private static final Vector OTHER = ymm(9);
  private static final Vector ONE = ymm(10);
  private static final Vector SIGN = ymm(11);
  private static final Vector ZERO = ymm(12);

  private final Assembler a = new Assembler();

  private ActivationCode() {}

  static byte[] code(Activation activation, boolean gated) {
    return new ActivationCode().generate(activation, gated);
  }

  private byte[] generate(Activation activation, boolean gated) {
    Label loop = new Label();
    a.emit(VBROADCASTSS, ONE, Constants.of(a, 1));
    a.emit(VBROADCASTSS, SIGN, Constants.of(a, -0f));
    a.emit(VXORPS, ZERO, ZERO, ZERO);
    a.place(loop);
    a.emit(VMOVUPS, X, RDI.at(0));
    switch (activation) {
      case SILU -> timesSigmoid(X);
      case GELU -> {
        Vector factor = ymm(0);
        a.emit(VMULPS, OTHER, X, X);
        a.emit(VBROADCASTSS, ymm(1), Constants.of(a, GELU_CUBE));
        a.emit(VBROADCASTSS, factor, Constants.of(a, GELU_SCALE));
        a.emit(VFMADD231PS, factor, OTHER, ymm(1));
        a.emit(VMULPS, OTHER, X, factor);
        timesSigmoid(OTHER);
      }
      case GELU_ERF -> timesNormal();
      default -> throw new IllegalArgumentException("There is no code for " + activation);
    }
    if (gated) {
      a.emit(VMULPS, ymm(0), ymm(0), RSI.at(0));
      a.add(RSI, VECTOR);
    }
    a.store(VMOVUPS_STORE, RDX.at(0), ymm(0));
    a.add(RDI, VECTOR);
    a.add(RDX, VECTOR);
    a.subtract(RCX, 1);
    a.jump(Condition.NOT_EQUAL, loop);
    a.zeroUpper();
    a.ret();
    return a.finish();
  }

  /** {@code x / (1 + e^−y)} in register 0. */
  private void timesSigmoid(Vector y) {
    // e^−|y| does not overflow; for y below zero the fraction is e^−|y| / (1 + e^−|y|).
    a.emit(VPOR, ymm(0), y, SIGN);
    Exponential.emit(a, ymm(0));
    a.emit(VADDPS, ymm(6), ymm(0), ONE);
    choose(y, ymm(0), ONE);
    a.emit(VMULPS, ymm(0), ymm(0), X);
    a.emit(VDIVPS, ymm(0), ymm(0), ymm(6));
  }

  /**
   * {@code x · Φ(x)} in register 0: the tail beyond |x| is {@code e^(−x²/2) t p(t)}, the form of
   * Abramowitz and Stegun, 7.1.26.
   */
  private void timesNormal() {
    Vector t = ymm(6);
    Vector p = ymm(7);
    Vector c = ymm(1);
    a.emit(VPANDN, OTHER, SIGN, X);
    a.emit(VBROADCASTSS, c, Constants.of(a, -0.5f));
    a.emit(VMULPS, ymm(0), OTHER, OTHER);
    a.emit(VMULPS, ymm(0), ymm(0), c);
    Exponential.emit(a, ymm(0));
    a.emit(VBROADCASTSS, t, Constants.of(a, TAIL));
    a.emit(VFMADD213PS, t, OTHER, ONE);
    a.emit(VDIVPS, t, ONE, t);
    a.emit(VBROADCASTSS, p, Constants.of(a, TAIL_POLYNOMIAL[0]));
    for (int i = 1; i < TAIL_POLYNOMIAL.length; i++) {
      a.emit(VBROADCASTSS, c, Constants.of(a, TAIL_POLYNOMIAL[i]));
      a.emit(VFMADD213PS, p, t, c);
    }
    a.emit(VMULPS, ymm(0), ymm(0), t);
    a.emit(VMULPS, ymm(0), ymm(0), p);
    a.emit(VSUBPS, ymm(6), ONE, ymm(0));
    choose(X, ymm(0), ymm(6));
    a.emit(VMULPS, ymm(0), ymm(0), X);
  }

  /** {@code negative} where a number is below zero, else {@code other}: in {@code negative}. */
  private void choose(Vector number, Vector negative, Vector other) {
    Vector below = ymm(7);
    a.emit(VCMPPS, below, number, ZERO, LESS);
    a.emit(VPAND, negative, negative, below);
    a.emit(VPANDN, below, below, other);
    a.emit(VPOR, negative, negative, below);
  }
}
