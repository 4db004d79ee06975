package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.LayerLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * More for layers whose last query rows look at many tokens, and at others in each row: the layer
 * preferences of CAKE (Qin et al., arXiv 2503.12491). A layer is given tokens before the window in
 * proportion to {@code H^(1/τ₁)·V^(1/τ₂)}, where {@code H} is the entropy of the window's rows and
 * {@code V} the sum of the tokens' variances among them, and no more than there are; what is over
 * is shared evenly by the others.
 *
 * <p>The paper prefills layer by layer, and splits again after each what those so far may hold.
 * Here a step goes through all layers, so that their statistics are known together: nothing is
 * split twice, and a trigger of blocks bounds what is held while a prompt is read. What a split
 * takes from a layer a later one cannot give back.
 *
 * @param tokens that each head keeps on average
 * @param window how many of them are the last tokens, which each layer keeps
 * @param entropy τ₁, which the paper has a value of for each model
 * @param variance τ₂
 */
record LayerPreference(Size tokens, int window, double entropy, double variance)
    implements Allocator {
  LayerPreference {
    ObservationWindow.check(window);
    Pyramid.check(tokens, window);
    if (!(entropy > 0 && variance > 0)) {
      throw new IllegalArgumentException(
          "τ₁ and τ₂ are above 0, not %s and %s".formatted(entropy, variance));
    }
  }

  @Override
  public String name() {
    return "cake(%s,%d,%s,%s)"
        .formatted(tokens, window, Term.written(entropy), Term.written(variance));
  }

  @Override
  public Optional<Moments> moments() {
    return Optional.of(new Moments(window));
  }

  /** One layer may be given almost all. */
  @Override
  public int most(int length) {
    return length;
  }

  @Override
  public long inAll(KvLayout layout, int length) {
    List<LayerLayout.Heads> layers =
        layout.heads().stream().filter(LayerLayout.Heads::seeAll).toList();
    int heads = layers.stream().mapToInt(LayerLayout.Heads::kvHeads).max().orElse(0);
    return (long) layers.size() * heads * Math.min(length, tokens.most(length));
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    return tokens(cache)[layer];
  }

  @Override
  public int[] tokens(KvCache cache) {
    List<LayerLayout.Heads> layers = cache.layout().heads();
    int kept = tokens.tokens(cache);
    int past = cache.length() - window;
    int[] each = new int[layers.size()];
    Arrays.fill(each, kept);
    if (kept <= window || kept >= cache.length()) {
      return each;
    }
    double[] preferences = new double[layers.size()];
    for (int l = 0; l < preferences.length; l++) {
      boolean divided = layers.get(l).seeAll();
      preferences[l] = divided ? preference(cache, l) : Double.NaN;
    }
    double[] shares = shares(preferences, kept - window, past);
    Arrays.setAll(each, l -> Double.isNaN(shares[l]) ? kept : window + (int) shares[l]);
    return each;
  }

  private double preference(KvCache cache, int layer) {
    int heads = cache.layout().heads(layer).kvHeads();
    double h = 0;
    double v = 0;
    for (int i = 0; i < heads; i++) {
      CachedHead head = cache.head(layer, i);
      Moments.OfTokens moments = new Moments(window).of(head);
      for (int t = 0; t < head.count() && head.position(t) < cache.length() - window; t++) {
        h += moments.entropy()[t];
        v += moments.variance()[t];
      }
    }
    return Math.pow(h / heads, 1 / entropy) * Math.pow(v / heads, 1 / variance);
  }

  /**
   * Divides among layers.
   *
   * @param preferences of each layer; NaN for those that take no part
   * @param average that they are given
   * @param most that any can use
   * @return what each is given; NaN for those that take no part
   */
  static double[] shares(double[] preferences, double average, double most) {
    double sum = Arrays.stream(preferences).filter(p -> !Double.isNaN(p)).sum();
    long layers = Arrays.stream(preferences).filter(p -> !Double.isNaN(p)).count();
    double[] shares = new double[preferences.length];
    // Where nothing has been seen yet, all are alike.
    boolean known = sum > 0 && Double.isFinite(sum);
    Arrays.setAll(
        shares,
        l ->
            Double.isNaN(preferences[l])
                ? Double.NaN
                : known ? preferences[l] / sum * average * layers : average);
    double over = most;
    while (over > 1e-6) {
      over = 0;
      int open = 0;
      for (int l = 0; l < shares.length; l++) {
        if (shares[l] > most) {
          over += shares[l] - most;
          shares[l] = most;
        }
        open += shares[l] < most ? 1 : 0;
      }
      for (int l = 0; l < shares.length && open > 0; l++) {
        shares[l] += shares[l] < most ? over / open : 0;
      }
      over = open > 0 ? over : 0;
    }
    return shares;
  }
}
