package dev.knapsack.eval;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import java.util.Arrays;

/**
 * Adds up how queries, keys and values of each KV head lie: {@code Σ x xᵀ}, as they meet in
 * attention. In F64, half of each matrix: {@code 12 · size²} bytes a head.
 */
final class HeadMoments {
  /** {@code Σ x xᵀ} of vectors of one size. */
  static final class Sum {
    private final double[] numbers;
    final int size;

    Sum(int size) {
      this.size = size;
      this.numbers = new double[size * (size + 1) / 2];
    }

    /** Adds the vector that begins there. */
    void add(float[] x, int from) {
      int at = 0;
      for (int i = 0; i < size; i++) {
        double xi = x[from + i];
        for (int j = 0; j <= i; j++) {
          numbers[at++] += xi * x[from + j];
        }
      }
    }

    double get(int i, int j) {
      int row = Math.max(i, j);
      return numbers[row * (row + 1) / 2 + Math.min(i, j)];
    }
  }

  /** Of one KV head; those of queries are of all query heads that share it. */
  record Head(Sum queries, Sum keys, Sum values) {}

  private final Head[][] heads;

  /** Tokens of the sequence at hand that have been added, by layer. */
  private final int[] seen;

  /** Of a model whose cache has such layers; those with a sliding window are left out. */
  HeadMoments(KvLayout layout) {
    heads = new Head[layout.layers().size()][];
    seen = new int[heads.length];
    for (int l = 0; l < heads.length; l++) {
      LayerLayout.Heads layer = layout.heads(l);
      heads[l] = new Head[layer.window() > 0 ? 0 : layer.kvHeads()];
      Arrays.setAll(
          heads[l],
          _ ->
              new Head(
                  new Sum(layer.keySize()), new Sum(layer.keySize()), new Sum(layer.valueSize())));
    }
  }

  /** The next sequence begins. */
  void begin() {
    Arrays.fill(seen, 0);
  }

  Head head(int layer, int kvHead) {
    return heads[layer][kvHead];
  }

  /** Adds the queries of a step. */
  void observe(CachedHead head, LayerStep step) {
    int size = head.keySize();
    float[] queries = new float[head.heads().group() * size];
    for (int row = 0; row < step.rows(); row++) {
      step.queries(row, head.kvHead(), queries);
      for (int from = 0; from < queries.length; from += size) {
        heads[head.layer()][head.kvHead()].queries.add(queries, from);
      }
    }
  }

  /** Adds the keys and values that a cache has more than it had. */
  void add(KvCache cache) {
    for (int l = 0; l < heads.length; l++) {
      for (int h = 0; h < heads[l].length; h++) {
        CachedHead head = cache.head(l, h);
        float[] key = new float[head.keySize()];
        float[] value = new float[head.valueSize()];
        for (int i = seen[l]; i < head.count(); i++) {
          head.key(i, key);
          heads[l][h].keys.add(key, 0);
          head.value(i, value);
          heads[l][h].values.add(value, 0);
        }
      }
      seen[l] = cache.length();
    }
  }
}
