package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;

/**
 * More for the first layers, which look at many tokens, and less for the last, in even steps:
 * PyramidKV (Cai et al., arXiv 2406.02069), with its β = {@value #BETA}: the last layer keeps that
 * part of the average, and the first what makes up for it.
 *
 * @param tokens that each head keeps on average
 * @param window how many of them are the last tokens, which each layer keeps
 */
record Pyramid(Size tokens, int window) implements Allocator {
  static final int BETA = 20;

  Pyramid {
    check(tokens, window);
  }

  static void check(Size tokens, int window) {
    if (tokens.positive().share() == 0 && tokens.tokens() <= window) {
      throw new IllegalArgumentException(
          "a head keeps more tokens than the %d of the window, not %s".formatted(window, tokens));
    }
  }

  @Override
  public String name() {
    return "pyramid(" + tokens + "," + window + ")";
  }

  @Override
  public int most(int length) {
    int kept = tokens.most(length);
    long average = Math.max(0, kept - window);
    return (int) Math.min(length, Math.min(kept, window) + 2 * average - average / BETA);
  }

  /** Of a shorter sequence the layers are more alike: one of the last may hold the average then. */
  @Override
  public long together(KvLayout layout, int layer, int length) {
    int kept = Math.min(length, tokens.most(length));
    int each = kept;
    if (kept > window) {
      int past = past(kept - window, length - window, before(layout, layer), layers(layout));
      each = Math.min(length, window + Math.max(kept - window, past));
    }
    return (long) layout.heads(layer).kvHeads() * each;
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    int kept = tokens.tokens(cache);
    if (kept <= window) {
      return kept;
    }
    KvLayout layout = cache.layout();
    int past = past(kept - window, cache.length() - window, before(layout, layer), layers(layout));
    return Math.max(1, window + past);
  }

  private static int layers(KvLayout layout) {
    return before(layout, layout.layers().size());
  }

  /** Layers before one, without those that have a sliding window. */
  private static int before(KvLayout layout, int layer) {
    return (int) layout.heads().stream().limit(layer).filter(LayerLayout.Heads::seeAll).count();
  }

  /**
   * Tokens before the window that a layer keeps.
   *
   * @param average how many they are on average
   * @param length tokens before the window
   * @param layer of the {@code layers} that are divided among
   */
  static int past(int average, int length, int layer, int layers) {
    if (average >= length || layers == 1) {
      return average; // as much as there is
    }
    int least = average / BETA;
    if (2 * average - least > length) {
      least = 2 * average - length;
    }
    int most = 2 * average - least;
    return most - (int) Math.ceilDiv((long) layer * (most - least), layers - 1);
  }
}
