package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import java.util.Arrays;

/**
 * Tokens whose keys and values differ from those that follow matter: LagKV (Liang et al., arXiv
 * 2504.04704).
 *
 * <p>Tokens behind the first {@value #SINKS} are taken in chunks of {@value #LAG}. Each channel of
 * a chunk is scaled by its least and its greatest number in the next chunk; a token's deviation is
 * that of its scaled channels, and the softmax of it over the chunk, of keys and values together,
 * ranks the chunk's tokens. First tokens, and the end, which has no next chunk, stay.
 */
record LagRelative() implements Scorer {
  static final int LAG = 128;
  static final int SINKS = 4;

  @Override
  public String name() {
    return "lagkv";
  }

  @Override
  public void score(CachedHead head, float[] out) {
    int count = head.count();
    int chunks = Math.max(0, count - SINKS) / LAG;
    int end = SINKS + Math.max(0, chunks - 1) * LAG;
    for (int i = 0; i < count; i++) {
      // The end is above every rank, and the later the better.
      boolean first = i < SINKS || head.position(i) < SINKS;
      out[i] = first ? Float.POSITIVE_INFINITY : i < end ? 0 : 2 + i;
    }
    if (chunks < 2) {
      return;
    }
    float[][] keys = chunk(head, SINKS, true);
    float[][] values = chunk(head, SINKS, false);
    for (int from = SINKS; from < end; from += LAG) {
      float[][] nextKeys = chunk(head, from + LAG, true);
      float[][] nextValues = chunk(head, from + LAG, false);
      float[] sums = weights(keys, nextKeys);
      float[] more = weights(values, nextValues);
      for (int i = 0; i < LAG; i++) {
        sums[i] += more[i];
      }
      float[] sorted = sums.clone();
      Arrays.sort(sorted);
      for (int i = 0; i < LAG; i++) {
        if (head.position(from + i) >= SINKS) {
          out[from + i] = Arrays.binarySearch(sorted, sums[i]) / (float) LAG;
        }
      }
      keys = nextKeys;
      values = nextValues;
    }
  }

  private static float[][] chunk(CachedHead head, int from, boolean key) {
    float[][] rows = new float[LAG][key ? head.keySize() : head.valueSize()];
    for (int i = 0; i < LAG; i++) {
      if (key) {
        head.key(from + i, rows[i]);
      } else {
        head.value(from + i, rows[i]);
      }
    }
    return rows;
  }

  /** The softmax of each token's deviation, scaled by the range that the next chunk has. */
  private static float[] weights(float[][] rows, float[][] next) {
    int size = rows[0].length;
    float[] least = next[0].clone();
    float[] greatest = next[0].clone();
    for (float[] row : next) {
      for (int c = 0; c < size; c++) {
        least[c] = Math.min(least[c], row[c]);
        greatest[c] = Math.max(greatest[c], row[c]);
      }
    }
    float[] out = new float[rows.length];
    double[] scaled = new double[size];
    for (int i = 0; i < rows.length; i++) {
      for (int c = 0; c < size; c++) {
        scaled[c] = (rows[i][c] - least[c]) / Math.max((double) greatest[c] - least[c], 1e-6);
      }
      out[i] = (float) deviation(scaled);
    }
    softmax(out);
    return out;
  }

  private static double deviation(double[] numbers) {
    double mean = Arrays.stream(numbers).average().orElse(0);
    double squares = 0;
    for (double x : numbers) {
      squares += (x - mean) * (x - mean);
    }
    return Math.sqrt(squares / Math.max(1, numbers.length - 1));
  }

  private static void softmax(float[] numbers) {
    float most = numbers[0];
    for (float x : numbers) {
      most = Math.max(most, x);
    }
    double sum = 0;
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) Math.exp(numbers[i] - most);
      sum += numbers[i];
    }
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] /= (float) sum;
    }
  }
}
