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
    float[][] keys = keys(head, SINKS);
    float[][] values = values(head, SINKS);
    for (int from = SINKS; from < end; from += LAG) {
      float[][] nextKeys = keys(head, from + LAG);
      float[][] nextValues = values(head, from + LAG);
      float[] sums = weights(keys, nextKeys);
      Rows.addScaled(1, weights(values, nextValues), sums);
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

  private static float[][] keys(CachedHead head, int from) {
    float[][] chunk = new float[LAG][];
    Rows.keys(head, from, from + LAG, (i, key) -> chunk[i - from] = key.clone());
    return chunk;
  }

  private static float[][] values(CachedHead head, int from) {
    float[][] chunk = new float[LAG][];
    Rows.values(head, from, from + LAG, (i, value) -> chunk[i - from] = value.clone());
    return chunk;
  }

  /** The softmax of each token's deviation, scaled by the range that the next chunk has. */
  private static float[] weights(float[][] rows, float[][] next) {
    float[] least = next[0].clone();
    float[] greatest = next[0].clone();
    for (float[] row : next) {
      for (int c = 0; c < least.length; c++) {
        least[c] = Math.min(least[c], row[c]);
        greatest[c] = Math.max(greatest[c], row[c]);
      }
    }
    float[] factors = new float[least.length];
    for (int c = 0; c < factors.length; c++) {
      factors[c] = 1 / Math.max(greatest[c] - least[c], 1e-6f);
    }
    float[] out = new float[rows.length];
    float[] scaled = new float[factors.length];
    for (int i = 0; i < rows.length; i++) {
      float[] row = rows[i];
      for (int c = 0; c < scaled.length; c++) {
        scaled[c] = (row[c] - least[c]) * factors[c];
      }
      out[i] = deviation(scaled);
    }
    softmax(out);
    return out;
  }

  /** The standard deviation of numbers, which become what they differ from their mean. */
  private static float deviation(float[] numbers) {
    float mean = Rows.sum(numbers) / numbers.length;
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] -= mean;
    }
    return Rows.norm(numbers) / (float) Math.sqrt(Math.max(1, numbers.length - 1));
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
