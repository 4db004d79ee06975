package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Keys or values of a head, decoded some hundred at a time, and what is computed of each.
 *
 * <p>Loops are what compilers do several numbers at a time: in float, over arrays from their
 * beginnings; sums, which they leave in order, are in lanes.
 */
final class Rows {
  /** Tokens that are decoded together: few enough to stay in the second cache. */
  static final int TOGETHER = 256;

  private Rows() {}

  /** Takes in one token's key or value. */
  interface Use {
    /**
     * Takes it in.
     *
     * @param token its place
     * @param row of no use after the call; may be changed
     */
    void accept(int token, float[] row);
  }

  /** All keys of a head, in order. */
  static void keys(CachedHead head, Use use) {
    keys(head, 0, head.count(), use);
  }

  /** The keys of the tokens of {@code [from, to)}. */
  static void keys(CachedHead head, int from, int to, Use use) {
    decoded(from, to, head.keySize(), head::keys, use);
  }

  /** All values of a head, in order. */
  static void values(CachedHead head, Use use) {
    values(head, 0, head.count(), use);
  }

  /** The values of the tokens of {@code [from, to)}. */
  static void values(CachedHead head, int from, int to, Use use) {
    decoded(from, to, head.valueSize(), head::values, use);
  }

  private interface Decode {
    void to(int from, int to, float[] out);
  }

  private static void decoded(int from, int to, int size, Decode decode, Use use) {
    float[] rows = new float[Math.min(TOGETHER, to - from) * size];
    float[] row = new float[size];
    for (int first = from; first < to; first += TOGETHER) {
      int end = Math.min(to, first + TOGETHER);
      decode.to(first, end, rows);
      for (int token = first; token < end; token++) {
        System.arraycopy(rows, (token - first) * size, row, 0, size);
        use.accept(token, row);
      }
    }
  }

  /** {@code Σ x}. */
  static float sum(float[] x) {
    float one = 0;
    float two = 0;
    float three = 0;
    float four = 0;
    int i = 0;
    for (; i + 3 < x.length; i += 4) {
      one += x[i];
      two += x[i + 1];
      three += x[i + 2];
      four += x[i + 3];
    }
    for (; i < x.length; i++) {
      one += x[i];
    }
    return (one + two) + (three + four);
  }

  /** {@code Σ a·b}. */
  static float dot(float[] a, float[] b) {
    return dot(a, b, 0);
  }

  /** {@code Σ a·b} with as much of {@code b}, from {@code at} on, as there is of {@code a}. */
  static float dot(float[] a, float[] b, int at) {
    float one = 0;
    float two = 0;
    float three = 0;
    float four = 0;
    int i = 0;
    for (; i + 3 < a.length; i += 4) {
      one += a[i] * b[at + i];
      two += a[i + 1] * b[at + i + 1];
      three += a[i + 2] * b[at + i + 2];
      four += a[i + 3] * b[at + i + 3];
    }
    for (; i < a.length; i++) {
      one += a[i] * b[at + i];
    }
    return (one + two) + (three + four);
  }

  /** The length of a row. */
  static float norm(float[] row) {
    return (float) Math.sqrt(dot(row, row));
  }

  /** A row of a matrix of float32 numbers. */
  static float[] row(Matrix matrix, int row) {
    float[] numbers = new float[matrix.columns()];
    MemorySegment.copy(
        matrix.data(), ValueLayout.JAVA_FLOAT, matrix.rowOffset(row), numbers, 0, numbers.length);
    return numbers;
  }

  /** {@code sums += factor · x}, for as many sums as {@code x} has numbers. */
  static void addScaled(float factor, float[] x, float[] sums) {
    for (int i = 0; i < x.length; i++) {
      sums[i] += factor * x[i];
    }
  }

  /** {@code sums += a · b}, number by number, for as many sums as these have numbers. */
  static void addProducts(float[] a, float[] b, float[] sums) {
    for (int i = 0; i < a.length; i++) {
      sums[i] += a[i] * b[i];
    }
  }
}
