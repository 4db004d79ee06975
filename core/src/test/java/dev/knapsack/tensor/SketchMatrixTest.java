package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys by random directions, and what remains of them in signs. */
class SketchMatrixTest {
  /** The first numbers of the published generator for this seed. */
  @Test
  void drawsTheNumbersOfSplitMix64() {
    long[] expected = {6457827717110365317L, 3203168211198807973L, -8629252141511181193L};
    long state = 1234567;
    for (long number : expected) {
      state += 0x9E3779B97F4A7C15L;
      assertThat(SketchMatrix.mix(state)).isEqualTo(number);
    }
  }

  @ParameterizedTest
  @CsvSource({"8, 1", "16, 3", "80, 2", "64, 4"})
  void isOrthonormalBasesOfOneLength(int size, int times) {
    float[] matrix = matrix(size, times, 1);
    for (int j = 0; j < times * size; j++) {
      for (int other = j / size * size; other <= j; other++) {
        double expected = other == j ? 1.0 / times : 0;
        double product = 0;
        for (int c = 0; c < size; c++) {
          product += (double) matrix[j * size + c] * matrix[other * size + c];
        }
        assertThat(product).isCloseTo(expected, within(1e-6));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"32, 1", "96, 2", "128, 2", "5, 8"})
  void keepsInnerProductsAndLengths(int size, int times) {
    float[] matrix = matrix(size, times, 1);
    for (int seed = 0; seed < 20; seed++) {
      float[] query = normal(size, seed);
      float[] key = normal(size, 100 + seed);
      float[] q = project(matrix, query);
      float[] k = project(matrix, key);
      assertThat(dot(q, k)).isCloseTo(dot(query, key), within(1e-4));
      assertThat(dot(k, k)).isCloseTo(dot(key, key), within(1e-4));
    }
  }

  /** Caches that were stored are read by later releases: this may never change. */
  @Test
  void isFixed() {
    float[] matrix = new float[2 * 64 * 64];
    assertThat(SketchMatrix.bytes(64, 2)).isEqualTo(4L * matrix.length);
    SketchMatrix.write(64, 2, MemorySegment.ofArray(matrix), 0);
    assertThat(Arrays.hashCode(matrix)).isEqualTo(-1417686113);
    assertThat(matrix(64, 2, 1)).isEqualTo(matrix);
    assertThat(matrix(64, 2, 2)).isNotEqualTo(matrix);
  }

  /** Over many matrices, for queries along a key, across it, and between. */
  @ParameterizedTest
  @ValueSource(floats = {-1, 0, 0.4f, 1})
  void productsWithSignsAreUnbiased(float along) {
    int size = 32;
    float[] key = normal(size, 1);
    key[3] *= 8;
    float[] query = normal(size, 2);
    for (int c = 0; c < size; c++) {
      query[c] = along * key[c] + (1 - Math.abs(along)) * query[c];
    }
    int seeds = 400;
    double sum = 0;
    double squares = 0;
    for (int seed = 0; seed < seeds; seed++) {
      double score = score(matrix(size, 2, seed), query, key);
      sum += score;
      squares += score * score;
    }
    double mean = sum / seeds;
    double deviation = Math.sqrt((squares / seeds - mean * mean) / seeds);
    double halfPrecision = 1e-3 * norm(query) * norm(key);
    assertThat(mean).isCloseTo(dot(query, key), within(4 * deviation + halfPrecision));
    assertThat(deviation).isLessThan(0.01 * norm(query) * norm(key));
  }

  /** As 0.76/√m, for m directions: independent ones would make it 1.25/√m. */
  @Test
  void theErrorFallsWithTheRootOfTheDirections() {
    int size = 64;
    double before = 0;
    for (int times : new int[] {1, 4}) {
      double squares = 0;
      int pairs = 0;
      for (int seed = 0; seed < 4; seed++) {
        float[] matrix = matrix(size, times, seed);
        for (int pair = 0; pair < 300; pair++, pairs++) {
          float[] query = normal(size, 1000 + pair);
          float[] key = normal(size, 5000 + pair);
          double off = score(matrix, query, key) - dot(query, key);
          squares += Math.pow(off / (norm(query) * norm(key)), 2);
        }
      }
      double error = Math.sqrt(squares / pairs);
      assertThat(error * Math.sqrt(times * size)).isCloseTo(0.755, within(0.05));
      if (times > 1) {
        assertThat(before / error).isBetween(1.85, 2.15);
      }
      before = error;
    }
  }

  @Test
  void signsKeepABlocksProductWithItself() {
    for (int seed = 0; seed < 20; seed++) {
      float[] x = normal(64, seed);
      assertThat(dot(x, decoded(x))).isCloseTo(dot(x, x), within(1e-3 * dot(x, x)));
    }
  }

  private static double score(float[] matrix, float[] query, float[] key) {
    return dot(project(matrix, query), decoded(project(matrix, key)));
  }

  private static float[] decoded(float[] x) {
    MemorySegment stored = MemorySegment.ofArray(new byte[(int) Formats.SIGNS.bytes(x.length)]);
    float[] decoded = new float[x.length];
    Formats.SIGNS.encode(MemorySegment.ofArray(x), 0, stored, 0, x.length);
    Formats.SIGNS.decode(stored, 0, MemorySegment.ofArray(decoded), 0, x.length);
    return decoded;
  }

  private static float[] matrix(int size, int times, long seed) {
    float[] matrix = new float[times * size * size];
    SketchMatrix.write(size, times, seed, MemorySegment.ofArray(matrix), 0);
    return matrix;
  }

  private static float[] project(float[] matrix, float[] x) {
    float[] out = new float[matrix.length / x.length];
    for (int j = 0; j < out.length; j++) {
      double sum = 0;
      for (int c = 0; c < x.length; c++) {
        sum += (double) matrix[j * x.length + c] * x[c];
      }
      out[j] = (float) sum;
    }
    return out;
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  private static double norm(float[] x) {
    return Math.sqrt(dot(x, x));
  }

  private static float[] normal(int n, long seed) {
    Random random = new Random(seed);
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }
}
