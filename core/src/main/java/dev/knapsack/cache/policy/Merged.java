package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;

/** A weighted mean of tokens of a head that follow one another. */
final class Merged {
  private final CachedHead head;
  private final float[] keys;
  private final float[] values;

  /**
   * Computes it.
   *
   * @param weights of the tokens from {@code from} on
   */
  Merged(CachedHead head, int from, float[] weights) {
    this.head = head;
    int to = from + weights.length;
    float all = Rows.sum(weights);
    keys = new float[head.keySize()];
    Rows.keys(head, from, to, (i, key) -> Rows.addScaled(weights[i - from], key, keys));
    values = new float[head.valueSize()];
    Rows.values(head, from, to, (i, value) -> Rows.addScaled(weights[i - from], value, values));
    divide(keys, all);
    divide(values, all);
  }

  private static void divide(float[] numbers, float by) {
    for (int c = 0; c < numbers.length; c++) {
      numbers[c] /= by;
    }
  }

  /** Gives a token that mean. */
  void put(int token) {
    head.put(token, keys, values);
  }
}
