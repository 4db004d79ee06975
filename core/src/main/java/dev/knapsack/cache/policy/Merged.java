package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;

/** A weighted mean of tokens of a head, in the making. */
final class Merged {
  private final CachedHead head;
  private final double[] keys;
  private final double[] values;
  private final float[] key;
  private final float[] value;
  private double weights;

  Merged(CachedHead head) {
    this.head = head;
    key = new float[head.keySize()];
    value = new float[head.valueSize()];
    keys = new double[key.length];
    values = new double[value.length];
  }

  void add(int token, double weight) {
    head.key(token, key);
    head.value(token, value);
    for (int c = 0; c < key.length; c++) {
      keys[c] += weight * key[c];
    }
    for (int c = 0; c < value.length; c++) {
      values[c] += weight * value[c];
    }
    weights += weight;
  }

  /** Gives a token the mean of what was added. */
  void put(int token) {
    for (int c = 0; c < key.length; c++) {
      key[c] = (float) (keys[c] / weights);
    }
    for (int c = 0; c < value.length; c++) {
      value[c] = (float) (values[c] / weights);
    }
    head.put(token, key, value);
  }
}
