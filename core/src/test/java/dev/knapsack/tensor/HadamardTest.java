package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class HadamardTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 64, 80, 96, 128, 256, 576})
  void isTheMatrixOfSignsInBlocks(int size) {
    float[] x = normal(size, 1);
    float[] y = x.clone();
    Hadamard.rotate(y, 0, size);
    int block = Hadamard.block(size);
    assertThat(size % block).isZero();
    assertThat(size / block % 2).isOne();
    for (int i = 0; i < size; i++) {
      int start = i / block * block;
      double expected = 0;
      for (int j = 0; j < block; j++) {
        expected += x[start + j] * (Integer.bitCount((i - start) & j) % 2 == 0 ? 1 : -1);
      }
      assertThat((double) y[i]).isCloseTo(expected / Math.sqrt(block), within(1e-5));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 64, 80, 128, 192, 512})
  void undoesItselfAndKeepsInnerProducts(int size) {
    float[] query = normal(size, 2);
    float[] key = normal(size, 3);
    double before = dot(query, key);
    float[] rotatedQuery = query.clone();
    float[] rotatedKey = key.clone();
    Hadamard.rotate(rotatedQuery, 0, size);
    Hadamard.rotate(rotatedKey, 0, size);
    assertThat(dot(rotatedQuery, rotatedKey)).isCloseTo(before, within(1e-4));
    Hadamard.rotate(rotatedKey, 0, size);
    for (int i = 0; i < size; i++) {
      assertThat(rotatedKey[i]).isCloseTo(key[i], within(2e-6f));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 80, 128})
  void rotatesARangeOfMemoryAsOneOfAnArray(int size) {
    float[] x = normal(size + 9, 4);
    byte[] bytes = new byte[4 * x.length + 3];
    MemorySegment memory = MemorySegment.ofArray(bytes);
    for (int i = 0; i < x.length; i++) {
      LittleEndian.putF32(memory, 3 + 4L * i, x[i]);
    }
    float[] original = x.clone();
    Hadamard.rotate(x, 5, size);
    Hadamard.rotate(memory, 3 + 4 * 5, size);
    for (int i = 0; i < x.length; i++) {
      assertThat(LittleEndian.f32(memory, 3 + 4L * i)).isEqualTo(x[i]);
    }
    assertThat(Arrays.copyOf(x, 5)).isEqualTo(Arrays.copyOf(original, 5));
    assertThat(Arrays.copyOfRange(x, 5 + size, x.length))
        .isEqualTo(Arrays.copyOfRange(original, 5 + size, x.length));
  }

  /** Two channels of 128 ten times the others', as keys have them. */
  @ParameterizedTest
  @MethodSource("coarse")
  void coarseFormatsLoseLessOfRotatedOutliers(Format format, double atMost) {
    double plain = 0;
    double rotated = 0;
    for (int token = 0; token < 200; token++) {
      float[] x = normal(128, 100 + token);
      x[5] *= 10;
      x[77] *= 10;
      plain += error(x, stored(format, x));
      float[] y = x.clone();
      Hadamard.rotate(y, 0, 128);
      float[] back = stored(format, y);
      Hadamard.rotate(back, 0, 128);
      rotated += error(x, back);
    }
    assertThat(rotated / plain).isLessThan(atMost);
  }

  static Object[][] coarse() {
    return new Object[][] {
      {Formats.Q8_0, 0.5}, {Formats.Q4_0, 0.5}, {Formats.BFP4, 0.5}, {Formats.BFP4_64, 0.4}
    };
  }

  @Test
  void spreadsOneLargeNumberOverAll() {
    float[] x = new float[64];
    x[11] = 8;
    Hadamard.rotate(x, 0, 64);
    for (float value : x) {
      assertThat(Math.abs(value)).isEqualTo(1);
    }
  }

  private static float[] stored(Format format, float[] x) {
    byte[] blocks = new byte[(int) format.bytes(x.length)];
    format.encode(MemorySegment.ofArray(x), 0, MemorySegment.ofArray(blocks), 0, x.length);
    float[] y = new float[x.length];
    format.decode(MemorySegment.ofArray(blocks), 0, MemorySegment.ofArray(y), 0, x.length);
    return y;
  }

  private static double error(float[] x, float[] y) {
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += (double) (x[i] - y[i]) * (x[i] - y[i]);
    }
    return sum;
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
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
