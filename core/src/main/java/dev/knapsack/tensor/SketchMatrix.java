package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;

/**
 * The random projection of a sketch (QJL: Zandieh, Daliri and Han, arXiv 2406.03482): of a head's
 * channels it makes {@code times} as many directions.
 *
 * <p>Its rows are the directions: random orthonormal bases, one below the other, each divided by
 * {@code √times}. So inner products and lengths are after the projection what they were before, but
 * for rounding. What it is for: every direction has a little of every channel, and signs are as
 * good for one as for another ({@link Signs}). Orthogonal directions, as in the published code,
 * lower the error of a product that is estimated from signs, relative to ‖q‖ · ‖k‖, from 1.25/√m to
 * 0.76/√m for m directions.
 *
 * <p>The numbers are the same on every machine and in every release, so that a cache that was
 * stored can be read again: SplitMix64 (Steele, Lea and Flood, 2014), Marsaglia's polar method with
 * {@link StrictMath}, and Gram–Schmidt in double precision, in a fixed order.
 */
public final class SketchMatrix {
  private static final long SEED = 1;

  private long state;
  private double spare = Double.NaN;

  private SketchMatrix(long seed) {
    state = seed;
  }

  /** Bytes of a matrix for heads of {@code size} channels. */
  public static long bytes(int size, int times) {
    return Formats.F32.bytes(Math.multiplyExact((long) size, size) * times);
  }

  /**
   * Writes the matrix, F32, row by row: {@code times · size} rows of {@code size} numbers.
   *
   * @param size channels of a head
   * @param target receives {@link #bytes} bytes, from byte {@code offset}
   */
  public static void write(int size, int times, MemorySegment target, long offset) {
    write(size, times, SEED, target, offset);
  }

  static void write(int size, int times, long seed, MemorySegment target, long offset) {
    SketchMatrix random = new SketchMatrix(seed);
    double length = 1 / Math.sqrt(times);
    double[][] basis = new double[size][size];
    for (int j = 0; j < times * size; j++) {
      double[] direction = basis[j % size];
      random.fill(direction);
      // Twice: what rounding leaves of the other directions goes the second time.
      for (int pass = 0; pass < 2; pass++) {
        for (int other = 0; other < j % size; other++) {
          subtract(direction, basis[other]);
        }
      }
      double factor = 1 / Math.sqrt(dot(direction, direction));
      for (int c = 0; c < size; c++) {
        direction[c] *= factor;
        long at = offset + ((long) j * size + c) * Float.BYTES;
        LittleEndian.putF32(target, at, (float) (direction[c] * length));
      }
    }
  }

  private static void subtract(double[] from, double[] unit) {
    double along = dot(from, unit);
    for (int c = 0; c < from.length; c++) {
      from[c] -= along * unit[c];
    }
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int c = 0; c < a.length; c++) {
      sum += a[c] * b[c];
    }
    return sum;
  }

  private void fill(double[] target) {
    for (int c = 0; c < target.length; c++) {
      target[c] = gaussian();
    }
  }

  private double gaussian() {
    if (!Double.isNaN(spare)) {
      double second = spare;
      spare = Double.NaN;
      return second;
    }
    while (true) {
      double u = uniform();
      double v = uniform();
      double s = u * u + v * v;
      if (s < 1 && s != 0) {
        double factor = Math.sqrt(-2 * StrictMath.log(s) / s);
        spare = v * factor;
        return u * factor;
      }
    }
  }

  /** Between −1 and 1. */
  private double uniform() {
    state += 0x9E3779B97F4A7C15L;
    return (mix(state) >> 11) * 0x1p-52;
  }

  /** The output function of SplitMix64. */
  static long mix(long z) {
    long y = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    y = (y ^ (y >>> 27)) * 0x94D049BB133111EBL;
    return y ^ (y >>> 31);
  }
}
