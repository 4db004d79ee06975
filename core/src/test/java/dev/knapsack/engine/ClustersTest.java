package dev.knapsack.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClustersTest {
  private static final int SIZE = 12;

  /** Near one of the axes. */
  private static float[] near(int axis, SplittableRandom random) {
    float[] vector = new float[SIZE];
    for (int c = 0; c < SIZE; c++) {
      vector[c] = (c == axis ? 1 : 0) + random.nextFloat(-0.1f, 0.1f);
    }
    Clusters.normalize(vector);
    return vector;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void alikeVectorsAreTogether(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    float[][] vectors = new float[60][];
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = near(i % 4, random);
    }
    Clusters clusters = Clusters.of(vectors, 5, seed);
    assertThat(clusters.count()).isBetween(4, 5);
    for (int i = 0; i < vectors.length; i++) {
      assertThat(clusters.nearest(vectors[i])).isEqualTo(clusters.of()[i]);
      for (int j = 0; j < vectors.length; j++) {
        if (i % 4 != j % 4) {
          assertThat(clusters.of()[i]).isNotEqualTo(clusters.of()[j]);
        }
      }
    }
    assertThat(Clusters.of(vectors, 5, seed).of()).isEqualTo(clusters.of());
    for (int group = 0; group < clusters.count(); group++) {
      int medoid = clusters.medoid(vectors, group);
      assertThat(clusters.of()[medoid]).isEqualTo(group);
      for (int i = 0; i < vectors.length; i++) {
        if (clusters.of()[i] == group) {
          assertThat(Clusters.dot(vectors[i], clusters.centres()[group]))
              .isLessThanOrEqualTo(Clusters.dot(vectors[medoid], clusters.centres()[group]) + 1e-9);
        }
      }
    }
  }

  @Test
  void thereAreNoMoreGroupsThanVectorsThatDiffer() {
    float[] one = {1, 0};
    float[] other = {0, 1};
    float[] none = {0, 0};
    assertThat(Clusters.of(new float[][] {one, one, one}, 4, 1).count()).isOne();
    assertThat(Clusters.of(new float[][] {one, other, one}, 4, 1).count()).isEqualTo(2);
    assertThat(Clusters.of(new float[][] {none, none}, 4, 1).count()).isBetween(1, 2);
    Clusters all = Clusters.of(new float[][] {one, other, one, none}, 1, 1);
    assertThat(all.of()).containsOnly(0);
    assertThat(Arrays.asList(all.centres())).hasSize(1);
  }
}
