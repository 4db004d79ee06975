package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import java.util.Arrays;

/**
 * Tokens that are not kept are merged into the kept one that stands nearest: its key and its value
 * become the mean of all of them. ElasticCache (Liu et al., arXiv 2407.18121), which does so once,
 * when a prompt has been read: what goes while an answer is written is forgotten.
 *
 * <p>Keys are merged as they are cached, at their positions. Of two kept tokens that are as near,
 * the earlier takes the token.
 */
record NearestMerge() implements Action {
  @Override
  public String name() {
    return "nearest";
  }

  @Override
  public void apply(CachedHead head, int[] kept) {
    boolean answering = head.cache().length() > head.cache().text().promptEnd();
    if (!(answering && head.cache().text().promptEnd() > 0) && kept.length > 0) {
      int from = 0;
      for (int k = 0; k < kept.length; k++) {
        int to = head.count();
        if (k + 1 < kept.length) {
          int here = head.position(kept[k]);
          int next = head.position(kept[k + 1]);
          to = kept[k] + 1;
          while (to < kept[k + 1] && head.position(to) - here <= next - head.position(to)) {
            to++;
          }
        }
        mean(head, from, to, kept[k]);
        from = to;
      }
    }
    head.keep(kept);
  }

  private static void mean(CachedHead head, int from, int to, int into) {
    if (to - from > 1) {
      float[] weights = new float[to - from];
      Arrays.fill(weights, 1);
      new Merged(head, from, weights).put(into);
    }
  }
}
