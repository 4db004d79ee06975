package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The encoders of cache formats against the simplest ones, and against all scales there are. */
class CacheEncodersTest {
  /** Squared error of Q2_1 as a share of that of levels from the smallest number to the largest. */
  @ParameterizedTest
  @CsvSource({"0, 0.64", "2, 0.4"})
  void twoBitsLoseLessThanLevelsOverTheWholeRange(int outliers, double atMost) {
    Random random = new Random(1);
    double here = 0;
    double whole = 0;
    for (int round = 0; round < 500; round++) {
      float[] x = numbers(random, 32);
      for (int i = 0; i < outliers; i++) {
        x[7 + 16 * i] *= 10;
      }
      here += error(x, stored(Formats.Q2_1, x));
      whole += error(x, levelsOverTheWholeRange(x));
    }
    assertThat(here / whole).isLessThan(atMost);
  }

  private static float[] levelsOverTheWholeRange(float[] x) {
    float min = AbstractBlockFormat.min(x, 0, 32);
    float d = Float.float16ToFloat(Float.floatToFloat16((max(x) - min) / 3));
    float m = Float.float16ToFloat(Float.floatToFloat16(min));
    float[] y = new float[32];
    for (int i = 0; i < 32; i++) {
      y[i] = Math.clamp(Math.round((x[i] - m) / d), 0, 3) * d + m;
    }
    return y;
  }

  private static float max(float[] x) {
    return AbstractBlockFormat.max(x, 0, x.length);
  }

  @ParameterizedTest
  @ValueSource(strings = {"BFP4", "BFP6", "BFP4_64", "BFP6_64"})
  void noOtherExponentLosesMuchLess(String name) {
    BlockFormat format = (BlockFormat) Formats.byName(name);
    int n = format.blockValues();
    int highest = (1 << (format.blockBytes() * 8 / n - 1)) - 1;
    Random random = new Random(2);
    double here = 0;
    double best = 0;
    for (int round = 0; round < 500; round++) {
      float[] x = numbers(random, n);
      x[3] *= round % 4 == 0 ? 12 : 1;
      here += error(x, stored(format, x));
      double least = Double.MAX_VALUE;
      for (int e = 90; e < 150; e++) {
        float scale = Math.scalb(1f, e - 128);
        float[] y = new float[n];
        for (int i = 0; i < n; i++) {
          y[i] = (float) Math.clamp(Math.rint(x[i] / scale), -highest - 1, highest) * scale;
        }
        least = Math.min(least, error(x, y));
      }
      best += least;
    }
    assertThat(here / best).isBetween(1.0, 1.005);
  }

  private static float[] numbers(Random random, int n) {
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
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
}
