package dev.knapsack.kernel.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Elementary functions on vectors, to about two units in the last place: range reduction and
 * polynomials of the Cephes library (Moshier, {@code expf}, {@code logf} and {@code tanhf}).
 */
final class Functions {
  private static final float LOG2_E = 1.442695f;
  private static final float LN2_HIGH = 6.933594e-1f;
  private static final float LN2_LOW = -2.1219444e-4f;

  private static final float LN2 = 6.931472e-1f;

  /** Added, it leaves a number rounded to an integer in the lowest bits. */
  private static final float TO_INTEGER = 0x1.8p23f;

  private static final float LARGEST = 88.37f;
  private static final float SMALLEST = -87.33f;

  private Functions() {}

  /** {@code e^x}; 0 below −87.33, and no more than e^88.37. NaN stays NaN. */
  static FloatVector exp(FloatVector x) {
    FloatVector limited = x.min(LARGEST).max(SMALLEST);
    FloatVector shifted = limited.mul(LOG2_E).add(TO_INTEGER);
    FloatVector n = shifted.sub(TO_INTEGER);
    FloatVector r = n.fma(Lanes.broadcast(-LN2_HIGH), limited);
    r = n.fma(Lanes.broadcast(-LN2_LOW), r);
    FloatVector p = Lanes.broadcast(1.9875691e-4f);
    p = p.fma(r, Lanes.broadcast(1.3981999e-3f));
    p = p.fma(r, Lanes.broadcast(8.333452e-3f));
    p = p.fma(r, Lanes.broadcast(4.1665796e-2f));
    p = p.fma(r, Lanes.broadcast(1.6666666e-1f));
    p = p.fma(r, Lanes.broadcast(5e-1f));
    p = p.fma(r.mul(r), r).add(1);
    // The exponent's bits are added to those of a number between 0.7 and 1.5.
    IntVector exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector y = p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
    VectorMask<Float> vanishing = x.compare(VectorOperators.LT, SMALLEST);
    return y.blend(0, vanishing).blend(x, x.test(VectorOperators.IS_NAN));
  }

  /** {@code e^x − 1 − x}, of numbers below 0. */
  static FloatVector bend(FloatVector x) {
    FloatVector p = Lanes.broadcast(2.4801588e-5f);
    p = p.fma(x, Lanes.broadcast(1.984127e-4f));
    p = p.fma(x, Lanes.broadcast(1.3888889e-3f));
    p = p.fma(x, Lanes.broadcast(8.333333e-3f));
    p = p.fma(x, Lanes.broadcast(4.1666668e-2f));
    p = p.fma(x, Lanes.broadcast(1.6666667e-1f));
    p = p.fma(x, Lanes.broadcast(5e-1f));
    FloatVector small = x.mul(x).mul(p);
    return exp(x).sub(1).sub(x).blend(small, x.compare(VectorOperators.GT, -0.625f));
  }

  /** {@code 1 / (1 + e^−x)}. */
  static FloatVector sigmoid(FloatVector x) {
    return Lanes.broadcast(1).div(exp(x.neg()).add(1));
  }

  /** {@code x / (1 + e^−x)}. */
  static FloatVector silu(FloatVector x) {
    return x.mul(sigmoid(x));
  }

  /**
   * {@code x · Φ(x)}: the tail beyond |x| is {@code e^(−x²/2) t p(t)} with {@code t = 1 / (1 + a
   * |x|)}, the form of Abramowitz and Stegun, 7.1.26, with a polynomial of degree 8 that is within
   * 2e-8 of it.
   */
  static FloatVector gelu(FloatVector x) {
    FloatVector size = x.abs();
    FloatVector t =
        Lanes.broadcast(1).div(size.fma(Lanes.broadcast(0.21213204f), Lanes.broadcast(1)));
    FloatVector p = Lanes.broadcast(-0.06471707f);
    p = p.fma(t, Lanes.broadcast(0.24254839f));
    p = p.fma(t, Lanes.broadcast(-0.2556136f));
    p = p.fma(t, Lanes.broadcast(0.27319798f));
    p = p.fma(t, Lanes.broadcast(-0.046815965f));
    p = p.fma(t, Lanes.broadcast(0.107218295f));
    p = p.fma(t, Lanes.broadcast(0.07424117f));
    p = p.fma(t, Lanes.broadcast(0.085345976f));
    p = p.fma(t, Lanes.broadcast(0.08459481f));
    FloatVector tail = exp(size.mul(size).mul(-0.5f)).mul(t).mul(p);
    FloatVector share = Lanes.broadcast(1).sub(tail).blend(tail, x.compare(VectorOperators.LT, 0));
    return x.mul(share);
  }

  /** {@code log(1 + e^x)}. */
  static FloatVector softplus(FloatVector x) {
    FloatVector z = exp(x.abs().neg());
    // log(1 + z) is log(2) + log(1 + (z − 1) / 2), which is a shorter way from 1 where z is large.
    VectorMask<Float> far = z.compare(VectorOperators.GT, 0.41421357f);
    FloatVector f = z.blend(z.sub(1).mul(0.5f), far);
    FloatVector p = Lanes.broadcast(7.0376836e-2f);
    p = p.fma(f, Lanes.broadcast(-1.151461e-1f));
    p = p.fma(f, Lanes.broadcast(1.16769984e-1f));
    p = p.fma(f, Lanes.broadcast(-1.2420141e-1f));
    p = p.fma(f, Lanes.broadcast(1.4249323e-1f));
    p = p.fma(f, Lanes.broadcast(-1.6668057e-1f));
    p = p.fma(f, Lanes.broadcast(2.0000714e-1f));
    p = p.fma(f, Lanes.broadcast(-2.4999994e-1f));
    p = p.fma(f, Lanes.broadcast(3.333333e-1f));
    FloatVector square = f.mul(f);
    FloatVector log = p.mul(f).sub(0.5f).fma(square, f);
    return log.add(Lanes.zero().blend(LN2, far)).add(x.max(0));
  }

  /** Hyperbolic tangent. */
  static FloatVector tanh(FloatVector x) {
    FloatVector z = x.mul(x);
    FloatVector p = Lanes.broadcast(-5.7049887e-3f);
    p = p.fma(z, Lanes.broadcast(2.0639088e-2f));
    p = p.fma(z, Lanes.broadcast(-5.3739715e-2f));
    p = p.fma(z, Lanes.broadcast(1.3331442e-1f));
    p = p.fma(z, Lanes.broadcast(-3.333328e-1f));
    FloatVector small = p.mul(z).fma(x, x);
    FloatVector large = Lanes.broadcast(1).sub(Lanes.broadcast(2).div(exp(x.add(x)).add(1)));
    return large.blend(small, x.abs().compare(VectorOperators.LT, 0.625f));
  }
}
