package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * More for heads that look at what is far: {@value #FAR} times the tokens of those that look at
 * what is near, as {@link Classes} says.
 *
 * @param tokens that a head keeps on average over all layers
 */
record ClassSizes(Classes classes, Size tokens, @Nullable Calibration figures)
    implements HeadSizes {
  private static final int FAR = 8;

  ClassSizes {
    tokens.positive();
  }

  @Override
  public String name() {
    return classes.name().toLowerCase(Locale.ROOT) + "(" + tokens + ")";
  }

  @Override
  public ClassSizes with(Companion.Reader files) {
    return new ClassSizes(classes, tokens, files.read(Calibration.FILE));
  }

  @Override
  public int[] each(KvLayout layout, int layer, int prompt, int length) {
    return sizes(layout, layer, tokens.most(prompt), length);
  }

  private int[] sizes(KvLayout layout, int layer, int average, int most) {
    Calibration known = HeadSizes.given(figures);
    List<Place> places = HeadSizes.places(layout);
    double[] weights =
        places.stream()
            .mapToDouble(p -> classes.near(known, layout, p.layer(), p.head()) ? 1 : FAR)
            .toArray();
    int[] all = Shares.divide(weights, average, 0, most);
    int first = places.indexOf(new Place(layer, 0));
    int[] each = new int[layout.heads(layer).kvHeads()];
    Arrays.setAll(each, h -> Math.max(1, all[first + h]));
    return each;
  }

  /** Heads have no less than the average where others can have no more than all. */
  @Override
  public long together(KvLayout layout, int layer, int length) {
    if (figures == null) {
      return HeadSizes.super.together(layout, layer, length);
    }
    int average = tokens.most(length);
    return Arrays.stream(sizes(layout, layer, average, Integer.MAX_VALUE))
        .mapToLong(n -> Math.min(length, Math.max(n, average)))
        .sum();
  }

  @Override
  public long inAll(KvLayout layout, int length) {
    long heads = HeadSizes.places(layout).size();
    return Math.min(HeadSizes.super.inAll(layout, length), heads * (tokens.most(length) + 1L));
  }
}
