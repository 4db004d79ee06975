package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * More for layers whose keys change more when the text before them is forgotten block by block:
 * EpiCache (Kim et al., arXiv 2509.17396). A layer keeps a quarter of the average, and its share of
 * the rest by {@code (1 - s)} to the power {@value #SHARPNESS}, where {@code s} is its {@linkplain
 * Calibration.Layer#similarity similarity} between the least of all layers and the highest; at most
 * all there are, what is over going to the others.
 *
 * @param tokens that a head keeps on average over all layers
 */
record LayerSensitivity(Size tokens, @Nullable Calibration figures) implements Allocator {
  static final double SHARPNESS = 1.1;

  /** The part of the average that each layer keeps, as a divisor. */
  static final int LEAST = 4;

  LayerSensitivity {
    tokens.positive();
    if (figures != null
        && figures.layers().stream()
            .anyMatch(layer -> !layer.heads().isEmpty() && layer.similarity().isEmpty())) {
      throw new IllegalArgumentException(
          "what was measured of the model does not say how alike its keys stay: it is of an earlier"
              + " version; "
              + Calibration.FILE.made()
              + " anew");
    }
  }

  @Override
  public String name() {
    return "sensitivity(" + tokens + ")";
  }

  @Override
  public Set<Companion<?>> lacks() {
    return figures == null ? Set.of(Calibration.FILE) : Set.of();
  }

  @Override
  public LayerSensitivity with(Companion.Reader files) {
    return new LayerSensitivity(tokens, files.read(Calibration.FILE));
  }

  @Override
  public int most(int length) {
    return length;
  }

  /**
   * While a sequence is so short that layers that are to keep more hold all of it, others have what
   * these leave. A layer has most when it is the next not to hold all: those that are to keep more
   * hold as much as it does then.
   */
  @Override
  public long together(KvLayout layout, int layer, int length) {
    long heads = layout.heads(layer).kvHeads();
    int average = Math.min(length, tokens.most(length));
    int[] layers = layers(layout);
    int place = Arrays.binarySearch(layers, layer);
    if (figures == null || place < 0) {
      return heads * length;
    }
    double[] weights = weights(layers);
    double own = weights[place];
    double sum = Arrays.stream(weights).map(weight -> Math.min(weight, own)).sum();
    double share = own > 0 ? own / sum : 1.0 / weights.length;
    int least = Math.min(average, least(average));
    double most = least + (double) (average - least) * weights.length * share;
    return heads * (long) Math.min(length, Math.ceil(most));
  }

  @Override
  public long inAll(KvLayout layout, int length) {
    int[] layers = layers(layout);
    long heads = Arrays.stream(layers).mapToLong(l -> layout.heads(l).kvHeads()).sum();
    boolean alike =
        Arrays.stream(layers).map(l -> layout.heads(l).kvHeads()).distinct().count() <= 1;
    return alike
        ? heads * Math.min(length, tokens.most(length))
        : Allocator.super.inAll(layout, length);
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    return tokens(cache)[layer];
  }

  @Override
  public int[] tokens(KvCache cache) {
    return each(cache.layout(), tokens.tokens(cache), cache.length());
  }

  private int[] each(KvLayout layout, int average, int most) {
    int[] layers = layers(layout);
    int[] shares = Shares.divide(weights(layers), average, least(average), most);
    int[] each = new int[layout.layers().size()];
    for (int i = 0; i < layers.length; i++) {
      each[layers[i]] = shares[i];
    }
    return each;
  }

  private static int least(int average) {
    return Math.max(1, average / LEAST);
  }

  private double[] weights(int[] layers) {
    Calibration known = HeadSizes.given(figures);
    double[] alike =
        Arrays.stream(layers)
            .mapToDouble(l -> known.layers().get(l).similarity().orElseThrow())
            .toArray();
    double least = Arrays.stream(alike).min().orElse(0);
    double range = Arrays.stream(alike).max().orElse(0) - least;
    return Arrays.stream(alike)
        .map(s -> range == 0 ? 1 : Math.pow(1 - (s - least) / range, SHARPNESS))
        .toArray();
  }

  /** Layers that do not forget by themselves. */
  private static int[] layers(KvLayout layout) {
    return IntStream.range(0, layout.layers().size())
        .filter(l -> layout.heads(l).seeAll())
        .toArray();
  }
}
