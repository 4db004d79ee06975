package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvLayout;

/**
 * The two ways to tell heads that look at what is near, so that they need few tokens, from those
 * that look at what is far. Both ways come from papers on visual autoregressive models, which write
 * a picture in scales; how they are told apart in text is ours.
 */
enum Classes {
  /**
   * Heads: HACK (Qin et al., arXiv 2504.09261) tells structural heads, whose attention runs along
   * diagonals, from contextual ones, which look at the same columns in every row. Its diagonals are
   * those of all earlier scales, so that structural heads get the larger part there. In text the
   * diagonal is what was just said: a KV head is structural, and gets the smaller part, if its
   * query heads look more at {@linkplain Calibration.Head#near the last tokens} than at {@linkplain
   * Calibration.Head#far those before}.
   */
  HACK {
    @Override
    boolean near(Calibration figures, KvLayout layout, int layer, int head) {
      HeadSizes.Place place = new HeadSizes.Place(layer, head);
      return HeadSizes.mean(figures, layout, place, h -> h.near() - h.far()) > 0;
    }
  },

  /**
   * Layers: ScaleKV (Li et al., arXiv 2505.19602) tells drafters, whose attention is dispersed over
   * all scales, from refiners, which look at the present one. In text a layer is a refiner, and
   * gets the smaller part, if its attention is {@linkplain Calibration.Layer#spread spread} less
   * than that of the layers on average.
   */
  SCALE {
    @Override
    boolean near(Calibration figures, KvLayout layout, int layer, int head) {
      double mean =
          figures.layers().stream()
              .filter(l -> !l.heads().isEmpty())
              .mapToDouble(Calibration.Layer::spread)
              .average()
              .orElse(0);
      return figures.layers().get(layer).spread() < mean;
    }
  };

  /** Says whether a KV head looks at what is near. */
  abstract boolean near(Calibration figures, KvLayout layout, int layer, int head);
}
