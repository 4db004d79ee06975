package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.tensor.Matrix;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The same share for all heads, but more of it as it is in layers whose last query rows spread
 * their attention, and over other tokens in each row: the original share of ARKV (arXiv
 * 2603.08727), for an action that keeps others in coarser formats. A layer's is {@code O/max O},
 * where {@code O} is {@code H^(1/τ₁)·V^(1/τ₂)·K^(1/τ₃)} of the entropy of the window's rows, and of
 * the sums of the tokens' variances and kurtoses among them.
 *
 * <p>The paper finds shares once, when the prompt has been read; here they are found whenever heads
 * are brought back to their size, so that one goes by the text that comes last, and nothing need be
 * held whole until then.
 *
 * @param tokens that each head keeps, or what takes the bytes of so many
 * @param window how many of them are the last tokens, which each layer keeps as they are
 * @param entropy τ₁
 * @param variance τ₂
 * @param kurtosis τ₃
 */
record FullShare(Size tokens, int window, double entropy, double variance, double kurtosis)
    implements Allocator {
  FullShare {
    ObservationWindow.check(window);
    Pyramid.check(tokens, window);
    if (!(entropy > 0 && variance > 0 && kurtosis > 0)) {
      throw new IllegalArgumentException(
          "τ₁, τ₂ and τ₃ are above 0, not %s, %s and %s".formatted(entropy, variance, kurtosis));
    }
  }

  @Override
  public String name() {
    return "arkv(%s,%d,%s,%s,%s)"
        .formatted(
            tokens, window, Term.written(entropy), Term.written(variance), Term.written(kurtosis));
  }

  @Override
  public Optional<Moments> moments() {
    return Optional.of(new Moments(window));
  }

  @Override
  public int numbers(LayerLayout.Heads heads) {
    return Kurtosis.NUMBERS;
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    new Kurtosis(window).observe(head, position, weights);
  }

  @Override
  public int most(int length) {
    return Math.min(length, tokens.most(length));
  }

  @Override
  public int tokens(KvCache cache, int layer) {
    return tokens.tokens(cache);
  }

  @Override
  public double[] full(KvCache cache) {
    List<LayerLayout.Heads> layers = cache.layout().heads();
    double[] shares = new double[layers.size()];
    for (int l = 0; l < shares.length; l++) {
      boolean counts = layers.get(l).seeAll();
      shares[l] = counts ? sensitivity(cache, l) : 0;
    }
    double most = Arrays.stream(shares).max().orElse(0);
    double least = Math.min(1, (double) window / tokens.tokens(cache));
    boolean known = most > 0 && Double.isFinite(most);
    Arrays.setAll(shares, l -> known ? Math.max(least, shares[l] / most) : 1);
    return shares;
  }

  private double sensitivity(KvCache cache, int layer) {
    double h = 0;
    double v = 0;
    double k = 0;
    for (int i = 0; i < cache.layout().heads(layer).kvHeads(); i++) {
      CachedHead head = cache.head(layer, i);
      Moments.OfTokens moments = new Moments(window).of(head);
      double[] kurtoses = new Kurtosis(window).of(head);
      for (int t = 0; t < head.count() && head.position(t) < cache.length() - window; t++) {
        h += moments.entropy()[t];
        v += moments.variance()[t];
        k += kurtoses[t];
      }
    }
    return Math.pow(h, 1 / entropy) * Math.pow(v, 1 / variance) * Math.pow(k, 1 / kurtosis);
  }
}
