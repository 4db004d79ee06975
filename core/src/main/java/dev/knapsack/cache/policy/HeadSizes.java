package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/** Allocators that give each head its own number of tokens, by what was measured of the model. */
interface HeadSizes extends Allocator {
  /** A KV head of a layer. */
  record Place(int layer, int head) {}

  /** The figures that were measured; null until they are given. */
  @Nullable Calibration figures();

  /**
   * Tokens that each head of a layer keeps; there may be fewer.
   *
   * @param prompt tokens of the prompt; of a sequence without one, its length
   * @param length tokens of the sequence
   */
  int[] each(KvLayout layout, int layer, int prompt, int length);

  @Override
  default Set<Companion<?>> lacks() {
    return figures() == null ? Set.of(Calibration.FILE) : Set.of();
  }

  @Override
  default int most(int length) {
    return length;
  }

  @Override
  default int tokens(KvCache cache, int layer) {
    if (cache.layout().heads(layer).window() > 0) {
      return 0; // it forgets by itself
    }
    int[] each = each(cache, layer);
    long sum = 0;
    for (int tokens : each) {
      sum += Math.min(tokens, cache.length());
    }
    return (int) (sum / Math.max(1, each.length));
  }

  @Override
  default int[] divide(KvCache cache, int layer, int tokens, float[][] scores) {
    int[] each = each(cache, layer);
    // Of which a trigger may let less stay.
    int whole = Math.max(1, tokens(cache, layer));
    for (int h = 0; h < each.length; h++) {
      int all = Math.min(each[h], scores[h].length);
      each[h] = tokens < whole ? Math.max(1, (int) ((long) all * tokens / whole)) : all;
    }
    return each;
  }

  private int[] each(KvCache cache, int layer) {
    int prompt = cache.text().promptEnd() > 0 ? cache.text().promptEnd() : cache.length();
    return each(cache.layout(), layer, prompt, cache.length());
  }

  /** The KV heads of all layers without a sliding window. */
  static List<Place> places(KvLayout layout) {
    List<Place> places = new ArrayList<>();
    for (int l = 0; l < layout.layers().size(); l++) {
      LayerLayout.Heads layer = layout.heads(l);
      for (int h = 0; layer.seeAll() && h < layer.kvHeads(); h++) {
        places.add(new Place(l, h));
      }
    }
    return places;
  }

  /**
   * The places of heads, those first of which more was measured.
   *
   * @param figure of one of the query heads that share a KV head, whose mean counts
   */
  static List<Place> ranked(
      Calibration figures, KvLayout layout, ToDoubleFunction<Calibration.Head> figure) {
    List<Place> places = places(layout);
    Comparator<Place> more =
        Comparator.comparingDouble(place -> mean(figures, layout, place, figure));
    places.sort(more.reversed());
    return places;
  }

  /** The mean of a figure over the query heads that share a KV head. */
  static double mean(
      Calibration figures,
      KvLayout layout,
      Place place,
      ToDoubleFunction<Calibration.Head> figure) {
    int group = layout.heads(place.layer()).group();
    return figures
        .layers()
        .get(place.layer())
        .heads()
        .subList(place.head() * group, (place.head() + 1) * group)
        .stream()
        .mapToDouble(figure)
        .average()
        .orElse(0);
  }

  /** The figures that were measured, where nothing can be done without. */
  static Calibration given(@Nullable Calibration figures) {
    if (figures == null) {
      throw new IllegalStateException(
          "Nothing is known of the model's heads; " + Calibration.FILE.made());
    }
    return figures;
  }
}
