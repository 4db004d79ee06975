package dev.knapsack.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The first directions lose least of what counts. */
class HeadDirectionsTest {
  private static final int SIZE = 12;
  private static final int VECTORS = 400;

  private final Random random = new Random(11);

  /** Vectors that are wider along some axes, which are no channels. */
  private float[][] vectors(double[] widths) {
    double[][] axes = new double[SIZE][SIZE];
    for (double[] axis : axes) {
      for (int c = 0; c < SIZE; c++) {
        axis[c] = random.nextGaussian();
      }
    }
    float[][] vectors = new float[VECTORS][SIZE];
    for (float[] vector : vectors) {
      for (int a = 0; a < widths.length; a++) {
        double much = random.nextGaussian() * widths[a];
        for (int c = 0; c < SIZE; c++) {
          vector[c] += (float) (much * axes[a][c]);
        }
      }
    }
    return vectors;
  }

  private static HeadMoments.Sum sum(float[][] vectors) {
    HeadMoments.Sum sum = new HeadMoments.Sum(SIZE);
    for (float[] vector : vectors) {
      sum.add(vector, 0);
    }
    return sum;
  }

  /** What is left of a vector of which the first {@code held} products are held. */
  private static double[] left(float[] in, float[] out, int held, float[] vector) {
    double[] left = new double[SIZE];
    for (int i = 0; i < held; i++) {
      double product = 0;
      for (int c = 0; c < SIZE; c++) {
        product += in[i * SIZE + c] * (double) vector[c];
      }
      for (int c = 0; c < SIZE; c++) {
        left[c] += product * out[i * SIZE + c];
      }
    }
    return left;
  }

  /** The mean square of what scores lose, as a share of theirs. */
  private static double lost(float[][] queries, float[][] keys, float[] in, float[] out, int held) {
    double lost = 0;
    double all = 0;
    for (float[] key : keys) {
      double[] left = left(in, out, held, key);
      for (float[] query : queries) {
        double score = 0;
        double other = 0;
        for (int c = 0; c < SIZE; c++) {
          score += query[c] * (double) key[c];
          other += query[c] * left[c];
        }
        lost += (score - other) * (score - other);
        all += score * score;
      }
    }
    return lost / all;
  }

  @Test
  void scoresLoseLeastAndLessThanByTheKeysAlone() {
    double[] falling = new double[SIZE];
    for (int i = 0; i < SIZE; i++) {
      falling[i] = Math.pow(0.6, i);
    }
    float[][] keys = vectors(falling);
    float[][] queries = vectors(falling);
    float[] in = new float[SIZE * SIZE];
    float[] out = new float[SIZE * SIZE];
    HeadDirections.find(sum(keys), sum(queries), in, out, 0);
    float[] ownIn = new float[SIZE * SIZE];
    float[] ownOut = new float[SIZE * SIZE];
    HeadDirections.find(sum(keys), new HeadMoments.Sum(SIZE), ownIn, ownOut, 0);
    double before = 1;
    for (int held = 1; held < SIZE; held++) {
      double lost = lost(queries, keys, in, out, held);
      assertThat(lost).isLessThan(before);
      if (held < 6) {
        assertThat(lost).isLessThan(lost(queries, keys, ownIn, ownOut, held));
        // No other direction in place of the last is better.
        for (int round = 0; round < 5; round++) {
          float[] otherIn = in.clone();
          float[] otherOut = out.clone();
          for (int c = 0; c < SIZE; c++) {
            otherIn[(held - 1) * SIZE + c] += (float) (0.1 * random.nextGaussian());
            otherOut[(held - 1) * SIZE + c] += (float) (0.1 * random.nextGaussian());
          }
          assertThat(lost(queries, keys, otherIn, otherOut, held)).isGreaterThan(0.98 * lost);
        }
      }
      before = lost;
    }
    assertThat(lost(queries, keys, in, out, SIZE)).isLessThan(1e-10);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 8})
  void vectorsOfAFewDirectionsNeedNoMore(int rank) {
    double[] widths = new double[rank];
    Arrays.fill(widths, 1);
    float[][] keys = vectors(widths);
    float[][] queries = vectors(new double[] {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
    float[] in = new float[2 * SIZE * SIZE];
    float[] out = new float[2 * SIZE * SIZE];
    int at = SIZE * SIZE;
    HeadDirections.find(sum(keys), sum(queries), in, out, at);
    assertThat(in[0]).as("another head's").isZero();
    float[] ownIn = Arrays.copyOfRange(in, at, 2 * at);
    float[] ownOut = Arrays.copyOfRange(out, at, 2 * at);
    assertThat(lost(queries, keys, ownIn, ownOut, rank)).isLessThan(1e-8);
    assertThat(lost(queries, keys, ownIn, ownOut, rank - 1)).isGreaterThan(1e-3);
    double before = 0;
    double after = 0;
    for (float[] key : keys) {
      for (int i = 0; i < SIZE; i++) {
        before += key[i] * key[i];
        double product = 0;
        for (int c = 0; c < SIZE; c++) {
          product += ownIn[i * SIZE + c] * key[c];
        }
        after += product * product;
      }
    }
    assertThat(after).as("as large as they were").isCloseTo(before, within(1e-3 * before));
  }

  @Test
  void whatWasNeverSeenIsLeftAsItIs() {
    float[] in = new float[SIZE * SIZE];
    float[] out = new float[SIZE * SIZE];
    HeadDirections.find(new HeadMoments.Sum(SIZE), new HeadMoments.Sum(SIZE), in, out, 0);
    float[] vector = vectors(new double[] {1, 1, 1})[0];
    double[] left = left(in, out, SIZE, vector);
    for (int c = 0; c < SIZE; c++) {
      assertThat(left[c]).isCloseTo(vector[c], within(1e-5));
    }
  }
}
