package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyGroupSketchTest {
  private static final int TOKENS = KeyGroupSketch.TOKENS;
  private static final int SIZE = 64;

  @ParameterizedTest
  @CsvSource({"128, 256, 256, 8, 2192", "128, 512, 128, 8, 2704", "128, 256, 0, 0, 1088"})
  void countsBytes(int size, int bits, int outlierBits, int outliers, int bytes) {
    KeySketch sketch = new KeySketch(size, bits, 0);
    assertThat(new KeyGroupSketch(sketch, outlierBits, outliers).bytes()).isEqualTo(bytes);
  }

  @Test
  void findsTheChannelsThatAreLargestOverTheGroup() {
    KeyGroupSketch group = new KeyGroupSketch(new KeySketch(SIZE, 64, 0), 64, 3);
    float[] keys = keys(1, 5, 9, 61);
    keys[7 * SIZE + 30] = 15; // large, once
    MemorySegment encoded = encode(group, keys);
    assertThat(LittleEndian.u16(encoded, 0)).isEqualTo(5);
    assertThat(LittleEndian.u16(encoded, 2)).isEqualTo(9);
    assertThat(LittleEndian.u16(encoded, 4)).isEqualTo(61);
  }

  /** Both parts by themselves, each with the first directions of the one matrix. */
  @Test
  void scoresAreTheSumOfBothParts() {
    KeySketch sketch = new KeySketch(SIZE, 128, 1);
    KeySketch whole = new KeySketch(SIZE, 128, 1);
    KeyGroupSketch group = new KeyGroupSketch(sketch, 128, 2);
    float[] keys = keys(2, 20, 40);
    float[] query = KeySketchTest.normal(SIZE, 3);
    float[] scores = scores(group, encode(group, keys), query);
    for (int t = 0; t < TOKENS; t++) {
      float[] rest = Arrays.copyOfRange(keys, t * SIZE, (t + 1) * SIZE);
      float[] apart = new float[SIZE];
      float[] queryRest = query.clone();
      float[] queryApart = new float[SIZE];
      for (int c : new int[] {20, 40}) {
        apart[c] = rest[c];
        rest[c] = 0;
        queryApart[c] = query[c];
        queryRest[c] = 0;
      }
      double expected =
          KeySketchTest.score(whole, queryRest, rest)
              + KeySketchTest.score(whole, queryApart, apart);
      // Norms are kept in half precision.
      assertThat((double) scores[t]).isCloseTo(expected, within(0.01 + 1e-3 * Math.abs(expected)));
    }
  }

  @Test
  void withoutOutliersItIsThePlainSketch() {
    KeySketch sketch = new KeySketch(SIZE, 96, 4);
    KeyGroupSketch group = new KeyGroupSketch(sketch, 0, 0);
    float[] keys = keys(5);
    float[] query = KeySketchTest.normal(SIZE, 6);
    float[] scores = scores(group, encode(group, keys), query);
    for (int t = 0; t < TOKENS; t++) {
      double expected =
          KeySketchTest.score(sketch, query, Arrays.copyOfRange(keys, t * SIZE, (t + 1) * SIZE));
      assertThat((double) scores[t]).isCloseTo(expected, within(0.01 + 1e-3 * Math.abs(expected)));
    }
  }

  /** The error of one bit is a share of the norms’ product: 0.76 / √bits, were there one part. */
  @Test
  void keepingOutliersApartLowersTheError() {
    double plain = 0;
    double apart = 0;
    double power = 0;
    for (int seed = 0; seed < 10; seed++) {
      KeySketch sketch = new KeySketch(SIZE, 256, seed);
      KeyGroupSketch without = new KeyGroupSketch(sketch, 0, 0);
      KeyGroupSketch with = new KeyGroupSketch(sketch, 256, 4);
      float[] keys = keys(50 + seed, 3, 17, 33, 50);
      float[] query = KeySketchTest.normal(SIZE, 80 + seed);
      float[] plainScores = scores(without, encode(without, keys), query);
      float[] apartScores = scores(with, encode(with, keys), query);
      for (int t = 0; t < TOKENS; t++) {
        float[] key = Arrays.copyOfRange(keys, t * SIZE, (t + 1) * SIZE);
        double exact = KeySketchTest.dot(query, key);
        plain += Math.pow(plainScores[t] - exact, 2);
        apart += Math.pow(apartScores[t] - exact, 2);
        power += Math.pow(KeySketchTest.norm(query) * KeySketchTest.norm(key), 2);
      }
    }
    assertThat(Math.sqrt(plain / power)).isBetween(0.03, 0.06);
    assertThat(Math.sqrt(apart / plain)).isLessThan(0.6);
  }

  @Test
  void respectsOffsetsAndStridesAndWritesNothingOutside() {
    KeyGroupSketch group = new KeyGroupSketch(new KeySketch(24, 40, 7), 16, 3);
    float[] keys = KeySketchTest.normal(TOKENS * 24, 8);
    byte[] plain = new byte[group.bytes()];
    group.encode(MemorySegment.ofArray(keys), 0, 4 * 24, MemorySegment.ofArray(plain), 0);
    long stride = 4 * 24 + 5;
    MemorySegment source = MemorySegment.ofArray(new byte[(int) (3 + TOKENS * stride)]);
    for (int t = 0; t < TOKENS; t++) {
      MemorySegment.copy(MemorySegment.ofArray(keys), 4L * 24 * t, source, 3 + stride * t, 4 * 24);
    }
    byte[] target = new byte[plain.length + 9];
    Arrays.fill(target, (byte) 0x5A);
    group.encode(source, 3, stride, MemorySegment.ofArray(target), 5);
    assertThat(Arrays.copyOfRange(target, 5, 5 + plain.length)).isEqualTo(plain);
    assertThat(Arrays.copyOf(target, 5)).containsOnly(0x5A);
    assertThat(Arrays.copyOfRange(target, 5 + plain.length, target.length)).containsOnly(0x5A);

    float[] query = KeySketchTest.normal(24, 9);
    float[] expected = new float[TOKENS];
    KeyGroupSketch.Query scorer = group.query();
    scorer.set(MemorySegment.ofArray(KeySketchTest.normal(24, 10)), 0); // forgotten
    scorer.set(MemorySegment.ofArray(query), 0);
    scorer.scores(MemorySegment.ofArray(plain), 0, expected, 0);
    float[] scores = new float[TOKENS + 4];
    scorer.scores(MemorySegment.ofArray(target), 5, scores, 2);
    assertThat(Arrays.copyOfRange(scores, 2, 2 + TOKENS)).isEqualTo(expected);
    assertThat(new float[] {scores[0], scores[1], scores[TOKENS + 2], scores[TOKENS + 3]})
        .containsOnly(0);
  }

  @Test
  void badNumbersLeaveScoresFinite() {
    KeyGroupSketch group = new KeyGroupSketch(new KeySketch(SIZE, 64, 9), 64, 4);
    float[] keys = keys(11);
    keys[5] = Float.NaN;
    keys[SIZE + 6] = Float.NEGATIVE_INFINITY;
    keys[2 * SIZE + 7] = Float.MAX_VALUE;
    float[] query = KeySketchTest.normal(SIZE, 12);
    query[3] = Float.NaN;
    query[4] = Float.POSITIVE_INFINITY;
    float sum = 0;
    for (float score : scores(group, encode(group, keys), query)) {
      sum += score;
    }
    assertThat(sum).isFinite();
  }

  @Test
  void refusesSizesThatDoNotFitAndGroupsOfOtherHeads() {
    KeySketch sketch = new KeySketch(SIZE, 64, 0);
    for (int[] wrong : new int[][] {{8, 64}, {8, -1}, {0, 4}, {72, 4}, {12, 4}, {8, 0}}) {
      assertThatThrownBy(() -> new KeyGroupSketch(sketch, wrong[0], wrong[1]))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(Integer.toString(wrong[1]) + " outlier channels");
    }
    KeyGroupSketch group = new KeyGroupSketch(sketch, 64, 2);
    MemorySegment encoded = encode(group, keys(13));
    LittleEndian.putU16(encoded, 2, SIZE);
    assertThatThrownBy(() -> scores(group, encoded, KeySketchTest.normal(SIZE, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("channel 64");
  }

  /** A group of normally distributed keys with these channels ten times larger. */
  private static float[] keys(long seed, int... outliers) {
    float[] keys = KeySketchTest.normal(TOKENS * SIZE, seed);
    for (int t = 0; t < TOKENS; t++) {
      for (int c : outliers) {
        keys[t * SIZE + c] *= 10;
      }
    }
    return keys;
  }

  private static MemorySegment encode(KeyGroupSketch group, float[] keys) {
    MemorySegment encoded = MemorySegment.ofArray(new byte[group.bytes()]);
    group.encode(MemorySegment.ofArray(keys), 0, 4 * SIZE, encoded, 0);
    return encoded;
  }

  private static float[] scores(KeyGroupSketch group, MemorySegment encoded, float[] query) {
    float[] scores = new float[TOKENS];
    KeyGroupSketch.Query scorer = group.query();
    scorer.set(MemorySegment.ofArray(query), 0);
    scorer.scores(encoded, 0, scores, 0);
    return scores;
  }
}
