package dev.knapsack.tensor;

/**
 * The projection of a sketch: a Gaussian matrix {@code size × columns} whose columns are made
 * orthogonal within each {@code size} of them, and of length √size all.
 *
 * <p>Its numbers follow from the seed on every machine and in every release: SplitMix64 (Steele,
 * Lea and Flood, 2014), Marsaglia's polar method with {@link StrictMath}, and Gram–Schmidt in
 * double precision, in a fixed order. So a cache that was stored can be read again.
 */
final class SketchMatrix {
  private long state;
  private double spare = Double.NaN;

  private SketchMatrix(long seed) {
    state = seed;
  }

  /** The matrix, row by row: number {@code c · columns + j} is that of channel c in column j. */
  static float[] of(int size, int columns, long seed) {
    SketchMatrix random = new SketchMatrix(seed);
    float[] matrix = new float[Math.multiplyExact(size, columns)];
    double[][] directions = new double[Math.min(size, columns)][size];
    for (int j = 0; j < columns; j++) {
      double[] direction = directions[j % size];
      random.fill(direction);
      // Twice: what rounding leaves of the other directions goes the second time.
      for (int pass = 0; pass < 2; pass++) {
        for (int other = 0; other < j % size; other++) {
          subtract(direction, directions[other]);
        }
      }
      double factor = 1 / Math.sqrt(dot(direction, direction));
      for (int c = 0; c < size; c++) {
        direction[c] *= factor;
        matrix[c * columns + j] = (float) (direction[c] * Math.sqrt(size));
      }
    }
    return matrix;
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
