package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class KeySketchTest {
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
  @CsvSource({"8, 8", "16, 40", "80, 256", "128, 256", "64, 32"})
  void columnsAreOrthogonalWithinTheSizeOfAHeadAndAllOfOneLength(int size, int columns) {
    float[] matrix = SketchMatrix.of(size, columns, 1);
    for (int j = 0; j < columns; j++) {
      assertThat(dot(matrix, size, columns, j, j)).isCloseTo(size, within(1e-3));
      for (int other = j / size * size; other < j; other++) {
        assertThat(dot(matrix, size, columns, j, other)).isCloseTo(0, within(1e-3));
      }
    }
  }

  private static double dot(float[] matrix, int size, int columns, int a, int b) {
    double sum = 0;
    for (int c = 0; c < size; c++) {
      sum += (double) matrix[c * columns + a] * matrix[c * columns + b];
    }
    return sum;
  }

  /** Stored sketches are read by later releases: this may never change. */
  @Test
  void theMatrixOfASeedIsFixed() {
    float[] matrix = SketchMatrix.of(64, 96, 42);
    assertThat(Arrays.hashCode(matrix)).isEqualTo(804093698);
    assertThat(Arrays.equals(SketchMatrix.of(64, 96, 43), matrix)).isFalse();
  }

  /** Small heads, where √(π/2) as a factor would be off by 3 % (8), and a query along the key. */
  @ParameterizedTest
  @CsvSource({"8, 8, 0", "8, 8, 1", "5, 16, 0.7", "7, 8, -1", "16, 8, 0.5"})
  void isUnbiasedOverSeeds(int size, int bits, float along) {
    float[] key = normal(size, 1);
    float[] query = normal(size, 2);
    for (int c = 0; c < size; c++) {
      query[c] = along == 0 ? query[c] : along * key[c] + 0.1f * query[c];
    }
    int seeds = 20_000;
    double sum = 0;
    double squares = 0;
    for (int seed = 0; seed < seeds; seed++) {
      double score = score(new KeySketch(size, bits, seed), query, key);
      sum += score;
      squares += score * score;
    }
    double mean = sum / seeds;
    double deviation = Math.sqrt((squares / seeds - mean * mean) / seeds);
    assertThat(mean).isCloseTo(dot(query, key), within(4 * deviation));
    assertThat(deviation).isLessThan(0.008 * norm(query) * norm(key));
  }

  @Test
  void theErrorFallsWithTheRootOfTheBits() {
    int size = 32;
    double[] errors = new double[4];
    for (int i = 0; i < errors.length; i++) {
      int bits = size << (2 * i);
      for (int seed = 0; seed < 8; seed++) {
        KeySketch sketch = new KeySketch(size, bits, seed);
        for (int pair = 0; pair < 200; pair++) {
          float[] query = normal(size, 1000 + pair);
          float[] key = normal(size, 5000 + pair);
          double off = score(sketch, query, key) - dot(query, key);
          errors[i] += Math.pow(off / (norm(query) * norm(key)), 2);
        }
      }
    }
    for (int i = 1; i < errors.length; i++) {
      assertThat(Math.sqrt(errors[i - 1] / errors[i])).isBetween(1.75, 2.25);
    }
    // √(c² − 1): the columns are orthogonal. Independent ones would make it c, 1.25.
    double oneBit = Math.sqrt(errors[3] / (8 * 200) * (size << 6));
    assertThat(oneBit).isCloseTo(Math.sqrt(Math.PI / 2 - 1), within(0.05));
  }

  @Test
  void anOrthogonalMatrixEstimatesAllOfAnOrthonormalBasisAtOnce() {
    // ‖sign(kS)·Sᵀ‖ is size for orthogonal columns, so the squared scores of a basis add up.
    int size = 64;
    KeySketch sketch = new KeySketch(size, size, 3);
    float[] key = normal(size, 4);
    double squares = 0;
    for (int c = 0; c < size; c++) {
      float[] unit = new float[size];
      unit[c] = 1;
      squares += Math.pow(score(sketch, unit, key), 2);
    }
    double expected = norm(key) * norm(key) * Math.pow(sketch.factor(), 2);
    assertThat(squares).isCloseTo(expected, within(1e-3 * expected));
  }

  @Test
  void theFactorApproachesThePublishedOne() {
    double published = Math.sqrt(Math.PI / 2);
    assertThat((double) new KeySketch(1, 8, 0).factor()).isCloseTo(1, within(1e-6));
    for (int size : new int[] {8, 33, 64, 128, 256}) {
      assertThat(new KeySketch(size, 8, 0).factor() / published)
          .isCloseTo(1 - 0.25 / size, within(0.05 / size / size));
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, -Float.MAX_VALUE})
  void countsNotANumberAsZeroAndEndsAtTheLargestHalf(float bad) {
    KeySketch sketch = new KeySketch(16, 64, 5);
    float[] key = normal(16, 6);
    key[3] = bad;
    float[] counted = key.clone();
    counted[3] = Float.isNaN(bad) ? 0 : Math.copySign(65504, bad);
    float[] query = normal(16, 7);
    assertThat(score(sketch, query, key)).isFinite().isEqualTo(score(sketch, query, counted));
    assertThat(score(sketch, key, query)).isFinite().isEqualTo(score(sketch, counted, query));
  }

  @Test
  void writesItsBytesAndNoOthers() {
    KeySketch sketch = new KeySketch(24, 40, 8);
    assertThat(sketch.bytes()).isEqualTo(5);
    float[] key = normal(24, 9);
    byte[] plain = new byte[5];
    float norm = sketch.encode(segment(key), 0, MemorySegment.ofArray(plain), 0, new float[40]);
    assertThat((double) norm).isCloseTo(norm(key), within(1e-5));
    byte[] source = new byte[4 * 24 + 3];
    MemorySegment.copy(segment(key), 0, MemorySegment.ofArray(source), 3, 4 * 24);
    byte[] target = new byte[12];
    Arrays.fill(target, (byte) 0x5A);
    sketch.encode(
        MemorySegment.ofArray(source), 3, MemorySegment.ofArray(target), 4, new float[40]);
    assertThat(Arrays.copyOfRange(target, 4, 9)).isEqualTo(plain);
    assertThat(Arrays.copyOf(target, 4)).containsOnly(0x5A);
    assertThat(Arrays.copyOfRange(target, 9, 12)).containsOnly(0x5A);
  }

  @Test
  void keysOfZerosScoreZero() {
    assertThat(score(new KeySketch(16, 64, 5), normal(16, 1), new float[16])).isZero();
  }

  @ParameterizedTest
  @CsvSource({"0, 8", "8, 0", "8, 12", "-1, 8", "8, -8"})
  void refusesSizesThatMakeNoSketch(int size, int bits) {
    assertThatThrownBy(() -> new KeySketch(size, bits, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(Integer.toString(size))
        .hasMessageContaining(Integer.toString(bits));
  }

  static float score(KeySketch sketch, float[] query, float[] key) {
    float[] projected = new float[sketch.bits()];
    MemorySegment signs = MemorySegment.ofArray(new byte[sketch.bytes()]);
    float norm = sketch.encode(segment(key), 0, signs, 0, projected);
    sketch.project(segment(query), 0, projected);
    return sketch.score(projected, signs, 0, norm);
  }

  static MemorySegment segment(float[] x) {
    return MemorySegment.ofArray(x);
  }

  static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  static double norm(float[] x) {
    return Math.sqrt(dot(x, x));
  }

  static float[] normal(int n, long seed) {
    Random random = new Random(seed);
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }
}
