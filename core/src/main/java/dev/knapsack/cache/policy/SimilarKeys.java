package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Tokens come back by pages of similar keys: after IceCache (ICLR 2026 submission), of which only
 * the abstract was available. Keys are divided by a tree: each node parts its keys in two of a
 * size, by the nearer of two means (k-means, {@value #ROUNDS} rounds), until a leaf has a page of
 * them. A step asks for the pages whose mean keys have the largest products with one of the query
 * heads that share the KV head: {@code score(page) = max(q·mean(k))}.
 *
 * <p>Nothing is forgotten, so that scores do not matter. Pages are of up to twice as many tokens as
 * asked for, less one; trees are of up to {@value #TREE} tokens that were read one after the other,
 * so that what is decoded at a time is bounded.
 *
 * @param tokens in a page
 */
record SimilarKeys(int tokens) implements OnDisk {
  private static final int ROUNDS = 3;
  private static final int TREE = 4096;

  SimilarKeys {
    if (tokens < Sentences.FEWEST || tokens > TREE / 2) {
      throw new IllegalArgumentException(
          "a page of similar keys has %d to %d tokens, not %d"
              .formatted(Sentences.FEWEST, TREE / 2, tokens));
    }
  }

  @Override
  public String name() {
    return "similar(" + tokens + ")";
  }

  @Override
  public int fewest() {
    return tokens;
  }

  @Override
  public int mostUnit() {
    return 2 * tokens - 1;
  }

  @Override
  public int[] candidates(CachedHead head, int[] places, float[] scores, int budget) {
    return places;
  }

  @Override
  public int[][] units(CachedHead head, int[] places, int most) {
    int trees = Math.ceilDiv(places.length, TREE);
    return IntStream.range(0, trees)
        .mapToObj(t ->
            Arrays.copyOfRange(
                places,
                (int) ((long) places.length * t / trees),
                (int) ((long) places.length * (t + 1) / trees)))
        .flatMap(part -> Arrays.stream(new Tree(head, part).leaves(tokens)))
        .toArray(int[][]::new);
  }

  @Override
  public void score(CachedHead head, float[] queries, float[] out) {
    int size = head.keySize();
    float[] key = new float[size];
    for (int unit = 0; unit < out.length; unit++) {
      head.unitKey(unit, key);
      out[unit] = Float.NEGATIVE_INFINITY;
      for (int query = 0; query < queries.length; query += size) {
        out[unit] = Math.max(out[unit], Rows.dot(key, queries, query));
      }
    }
  }

  /** Parts keys. */
  private static final class Tree {
    private final int[] places;
    private final float[][] keys;
    private int[][] leaves = {};
    private int made;

    Tree(CachedHead head, int[] places) {
      this.places = places;
      this.keys = new float[places.length][head.keySize()];
      for (int i = 0; i < places.length; i++) {
        head.key(places[i], keys[i]);
      }
    }

    /** The places of similar keys, at least so many together. */
    int[][] leaves(int tokens) {
      leaves = new int[Math.max(1, places.length / tokens)][];
      part(IntStream.range(0, places.length).toArray(), leaves.length);
      return leaves;
    }

    /** Parts these among so many leaves. */
    private void part(int[] members, int count) {
      if (count == 1) {
        int[] leaf = Arrays.stream(members).map(i -> places[i]).sorted().toArray();
        leaves[made++] = leaf;
        return;
      }
      int half = count / 2;
      int cut = (int) ((long) members.length * half / count);
      float[] low = keys[farthest(members, mean(members))];
      float[] high = keys[farthest(members, low)];
      int[] order = members;
      for (int round = 0; round < ROUNDS; round++) {
        order = ordered(order, low, high);
        low = mean(Arrays.copyOf(order, cut));
        high = mean(Arrays.copyOfRange(order, cut, order.length));
      }
      part(Arrays.copyOf(order, cut), half);
      part(Arrays.copyOfRange(order, cut, order.length), count - half);
    }

    /** The members, those first that are nearer to {@code low}. */
    private int[] ordered(int[] members, float[] low, float[] high) {
      float[] direction = new float[low.length];
      for (int c = 0; c < direction.length; c++) {
        direction[c] = high[c] - low[c];
      }
      // Sorted as numbers, by score and then by place.
      long[] order = new long[members.length];
      for (int m = 0; m < order.length; m++) {
        float score = Rows.dot(direction, keys[members[m]]);
        int bits = Float.floatToIntBits(score);
        order[m] = (long) (bits ^ (bits >> 31 & Integer.MAX_VALUE)) << 32 | members[m];
      }
      Arrays.sort(order);
      return Arrays.stream(order).mapToInt(i -> (int) i).toArray();
    }

    private float[] mean(int[] members) {
      float[] mean = new float[keys[0].length];
      for (int i : members) {
        for (int c = 0; c < mean.length; c++) {
          mean[c] += keys[i][c] / members.length;
        }
      }
      return mean;
    }

    private int farthest(int[] members, float[] from) {
      int farthest = members[0];
      float most = -1;
      for (int i : members) {
        float distance = 0;
        for (int c = 0; c < from.length; c++) {
          float difference = keys[i][c] - from[c];
          distance += difference * difference;
        }
        if (distance > most) {
          most = distance;
          farthest = i;
        }
      }
      return farthest;
    }
  }
}
