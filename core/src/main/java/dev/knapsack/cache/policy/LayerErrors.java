package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * More for layers whose result suffers more when they forget: CompressKV (Lin et al., arXiv
 * 2508.02401). A layer keeps {@value #LEAST} tokens, and its share of the rest by the {@linkplain
 * Calibration.Layer#error error} that was measured of it; at most {@value #MOST} times the average,
 * or all there are, what is over going to the others.
 *
 * <p>The error is that of attention's result before the output projection, where the layer keeps an
 * eighth of the prompt; in the paper that of the projected one.
 *
 * @param tokens that a head keeps on average over all layers
 */
record LayerErrors(Size tokens, @Nullable Calibration figures) implements Allocator {
  static final int LEAST = 32;
  static final int MOST = 3;

  LayerErrors {
    tokens.positive();
  }

  @Override
  public String name() {
    return "errors(" + tokens + ")";
  }

  @Override
  public Set<Companion<?>> lacks() {
    return figures == null ? Set.of(Calibration.FILE) : Set.of();
  }

  @Override
  public LayerErrors with(Companion.Reader files) {
    return new LayerErrors(tokens, files.read(Calibration.FILE));
  }

  @Override
  public int most(int length) {
    return (int) Math.min(length, MOST * (long) tokens.most(length));
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    KvLayout layout = cache.layout();
    Calibration known = HeadSizes.given(figures);
    int average = tokens.tokens(cache);
    int most = (int) Math.min(cache.length(), MOST * (long) average);
    int[] layers =
        IntStream.range(0, layout.layers().size()).filter(l -> layout.heads(l).seeAll()).toArray();
    double[] errors =
        Arrays.stream(layers).mapToDouble(l -> known.layers().get(l).error()).toArray();
    int[] each = Shares.divide(errors, average, LEAST, most);
    int place = Arrays.binarySearch(layers, layer);
    return place < 0 ? 0 : each[place]; // which forgets by itself
  }
}
