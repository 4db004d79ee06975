package dev.knapsack.engine;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Vectors in groups of those that point in like directions: k-means with cosines, from centres that
 * were drawn as far from each other as k-means++ draws them (Arthur, Vassilvitskii 2007).
 *
 * @param of the group of each vector
 * @param centres the mean direction of each group, of length 1
 */
record Clusters(int[] of, float[][] centres) {
  private static final int ROUNDS = 50;

  /**
   * At most so many groups, none of them empty: fewer where fewer vectors differ.
   *
   * @param vectors of length 1, or 0; at least one
   * @param seed what is drawn depends on
   */
  static Clusters of(float[][] vectors, int most, long seed) {
    float[][] centres = draw(vectors, most, new SplittableRandom(seed));
    int[] of = new int[vectors.length];
    Arrays.fill(of, -1);
    for (int round = 0; round < ROUNDS; round++) {
      boolean moved = false;
      for (int i = 0; i < vectors.length; i++) {
        int nearest = nearest(centres, vectors[i]);
        moved |= nearest != of[i];
        of[i] = nearest;
      }
      if (!moved) {
        break;
      }
      centres = centres(vectors, of, centres);
    }
    return withoutEmpty(vectors, of, centres);
  }

  private static float[][] draw(float[][] vectors, int most, SplittableRandom random) {
    float[][] centres = {vectors[random.nextInt(vectors.length)]};
    double[] far = new double[vectors.length];
    while (centres.length < most) {
      double sum = 0;
      for (int i = 0; i < vectors.length; i++) {
        double distance = 1 - dot(vectors[i], centres[nearest(centres, vectors[i])]);
        far[i] = distance > 1e-6 ? distance : 0;
        sum += far[i];
      }
      if (sum == 0) {
        break; // all others are where a centre is
      }
      double at = random.nextDouble() * sum;
      int drawn = -1;
      for (int i = 0; i < far.length && at >= 0; i++) {
        drawn = far[i] > 0 ? i : drawn;
        at -= far[i];
      }
      centres = Arrays.copyOf(centres, centres.length + 1);
      centres[centres.length - 1] = vectors[drawn];
    }
    return centres;
  }

  /** The mean direction of each group; that of an empty one stays. */
  private static float[][] centres(float[][] vectors, int[] of, float[][] before) {
    float[][] centres = new float[before.length][vectors[0].length];
    for (int i = 0; i < vectors.length; i++) {
      for (int c = 0; c < vectors[i].length; c++) {
        centres[of[i]][c] += vectors[i][c];
      }
    }
    for (int k = 0; k < centres.length; k++) {
      centres[k] = normalize(centres[k]) ? centres[k] : before[k];
    }
    return centres;
  }

  private static Clusters withoutEmpty(float[][] vectors, int[] of, float[][] centres) {
    int[] used = Arrays.stream(of).distinct().sorted().toArray();
    int[] renamed = Arrays.stream(of).map(k -> Arrays.binarySearch(used, k)).toArray();
    float[][] kept = Arrays.stream(used).mapToObj(k -> centres[k]).toArray(float[][]::new);
    return new Clusters(renamed, centres(vectors, renamed, kept));
  }

  int count() {
    return centres.length;
  }

  /** The group whose centre a vector is nearest to. */
  int nearest(float[] vector) {
    return nearest(centres, vector);
  }

  private static int nearest(float[][] centres, float[] vector) {
    int best = 0;
    for (int k = 1; k < centres.length; k++) {
      best = dot(centres[k], vector) > dot(centres[best], vector) ? k : best;
    }
    return best;
  }

  /** The vector of a group that is nearest to its centre. */
  int medoid(float[][] vectors, int group) {
    int best = -1;
    for (int i = 0; i < of.length; i++) {
      if (of[i] == group
          && (best < 0 || dot(vectors[i], centres[group]) > dot(vectors[best], centres[group]))) {
        best = i;
      }
    }
    return best;
  }

  static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int c = 0; c < a.length; c++) {
      sum += (double) a[c] * b[c];
    }
    return sum;
  }

  /** Makes a vector's length 1; false if it is 0. */
  static boolean normalize(float[] vector) {
    double length = Math.sqrt(dot(vector, vector));
    for (int c = 0; length > 0 && c < vector.length; c++) {
      vector[c] /= (float) length;
    }
    return length > 0;
  }
}
