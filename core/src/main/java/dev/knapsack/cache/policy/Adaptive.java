package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import java.util.Arrays;

/**
 * More for heads that spread their attention: the heads of a layer keep the best tokens of all of
 * them, and each at least a fifth of what it would keep if all kept as many. AdaKV (Feng et al.,
 * arXiv 2407.11550), for scores that compare between heads, such as those of attention.
 *
 * @param tokens that each head keeps on average
 */
record Adaptive(Size tokens) implements Allocator {
  /** The part of the average that each head keeps, as a divisor: the published 0.2. */
  private static final int FLOOR = 5;

  Adaptive {
    tokens.positive();
  }

  @Override
  public String name() {
    return "ada(" + tokens + ")";
  }

  /** One head may be given almost all that a layer keeps. */
  @Override
  public int most(int length) {
    return length;
  }

  @Override
  public long together(KvLayout layout, int layer, int length) {
    return (long) layout.heads(layer).kvHeads() * Math.min(length, tokens.most(length));
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    return tokens.tokens(cache);
  }

  @Override
  public int[] divide(int tokens, float[][] scores) {
    int[] each = new int[scores.length];
    float[][] left = new float[scores.length][];
    int count = 0;
    for (int h = 0; h < scores.length; h++) {
      float[] sorted = scores[h].clone();
      Arrays.sort(sorted);
      each[h] = Math.min(sorted.length, Math.max(1, tokens / FLOOR));
      left[h] = Arrays.copyOf(sorted, sorted.length - each[h]);
      count += left[h].length;
    }
    long room = (long) tokens * scores.length - Arrays.stream(each).sum();
    float[] all = new float[count];
    int at = 0;
    for (float[] some : left) {
      System.arraycopy(some, 0, all, at, some.length);
      at += some.length;
    }
    if (room <= 0) {
      return each;
    }
    if (room >= count) {
      Arrays.setAll(each, h -> scores[h].length);
      return each;
    }
    Arrays.sort(all);
    float least = all[(int) (count - room)];
    for (int h = 0; h < scores.length; h++) {
      for (int i = left[h].length - 1; i >= 0 && Float.compare(left[h][i], least) > 0; i--) {
        each[h]++;
        room--;
      }
    }
    // Of those that are as good as the last one, each head in turn gets one.
    for (boolean some = true; room > 0 && some; ) {
      some = false;
      for (int h = 0; h < scores.length && room > 0; h++) {
        int next = scores[h].length - each[h] - 1;
        if (next >= 0 && Float.compare(left[h][next], least) == 0) {
          each[h]++;
          room--;
          some = true;
        }
      }
    }
    return each;
  }
}
