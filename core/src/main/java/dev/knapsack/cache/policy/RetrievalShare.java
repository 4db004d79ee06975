package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvLayout;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A share of the KV heads keeps all tokens, and the others few: DuoAttention (Xiao et al., arXiv
 * 2410.10819), with the {@link Scorer.Streaming first and last tokens} as those few.
 *
 * <p>Which heads keep all was learned there, by a gate for each KV head in training on synthetic
 * texts; here it is those whose query heads look most at {@linkplain Calibration.Head#far what is
 * neither near nor first}, which takes no training.
 *
 * @param percent of all KV heads, the nearest whole number of which keep all
 * @param others tokens that each of the others keeps
 */
record RetrievalShare(int percent, Size others, @Nullable Calibration figures)
    implements HeadSizes {
  RetrievalShare {
    if (percent > 100) {
      throw new IllegalArgumentException("0 to 100 percent of heads keep all, not " + percent);
    }
    others.positive();
  }

  @Override
  public String name() {
    return "heads(" + percent + "," + others + ")";
  }

  @Override
  public RetrievalShare with(Companion.Reader files) {
    return new RetrievalShare(percent, others, files.read(Calibration.FILE));
  }

  @Override
  public int[] each(KvLayout layout, int layer, int prompt, int length) {
    return each(layout, layer, others.most(prompt));
  }

  private int[] each(KvLayout layout, int layer, int few) {
    List<Place> places = HeadSizes.ranked(HeadSizes.given(figures), layout, Calibration.Head::far);
    int[] each = new int[layout.heads(layer).kvHeads()];
    Arrays.fill(each, few);
    for (Place place : places.subList(0, (places.size() * percent + 50) / 100)) {
      if (place.layer() == layer) {
        each[place.head()] = Integer.MAX_VALUE;
      }
    }
    return each;
  }

  @Override
  public long together(KvLayout layout, int layer, int length) {
    if (figures == null) {
      return HeadSizes.super.together(layout, layer, length);
    }
    return Arrays.stream(each(layout, layer, others.most(length)))
        .mapToLong(n -> Math.min(n, length))
        .sum();
  }
}
