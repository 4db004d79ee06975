package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.CoarseForm;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.tensor.Format;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * The best tokens stay as they are, the next best in fewer bits, and the others are forgotten: the
 * three states of ARKV (arXiv 2603.08727). A token in fewer bits counts as the part of a token that
 * a head may keep that its bits are of 16, so that what a head may keep is a number of bytes: that
 * of so many tokens in F16, whatever their states.
 *
 * <p>What is in fewer bits does not come back from there. The paper scales each token's 8-bit
 * numbers by their largest; here they are in the format as it is, of which Q8_0 has scales.
 *
 * @param format of keys and values that count less, of 16 bits a number at most
 */
record Tiers(Format format) implements Action {
  Tiers {
    if (bits(format) > bits(KvLayout.FULL)) {
      throw new IllegalArgumentException(
          "tokens that count less are in fewer bits than F16, not in " + format.name());
    }
  }

  private static double bits(Format format) {
    return (double) Byte.SIZE * format.bytes(format.blockValues()) / format.blockValues();
  }

  /** As how much of a token that is kept as it is one of fewer bits counts. */
  private double part() {
    return bits(format) / bits(KvLayout.FULL);
  }

  @Override
  public String name() {
    return "tiers(" + format.name().toLowerCase(Locale.ROOT) + ")";
  }

  @Override
  public Optional<CoarseForm> coarse() {
    return Optional.of(new CoarseForm(format, format));
  }

  @Override
  public boolean forgetsCoarse() {
    return true;
  }

  @Override
  public int counted(int coarse) {
    return (int) Math.ceil(coarse * part());
  }

  @Override
  public int mostCoarse(int kept, int tokens) {
    return (int) Math.min(tokens, kept / part());
  }

  @Override
  public void apply(CachedHead head, int[] kept) {
    head.requantise(Action.others(head, kept));
  }

  @Override
  public void apply(CachedHead head, int tokens, double full, float[] scores) {
    int coarse = head.coarse();
    int stay = Math.min((int) Math.ceil(tokens * full), scores.length - coarse);
    boolean[] best = new boolean[scores.length];
    for (int i : Recipe.best(Arrays.copyOfRange(scores, coarse, scores.length), stay)) {
      best[coarse + i] = true;
    }
    int[] kept = next(best, scores, (int) ((tokens - stay) / part()));
    head.keep(kept);
    int gone = coarse - head.coarse();
    int[] fewer = new int[kept.length - stay - coarse + gone];
    int n = 0;
    for (int i = head.coarse(); i < kept.length; i++) {
      if (!best[kept[i]]) {
        fewer[n++] = i;
      }
    }
    head.requantise(fewer);
  }

  /** The places of the best and of so many that come next, ascending. */
  private static int[] next(boolean[] best, float[] scores, int more) {
    int[] others = new int[scores.length];
    int n = 0;
    for (int i = 0; i < others.length; i++) {
      if (!best[i]) {
        others[n++] = i;
      }
    }
    float[] theirs = new float[n];
    for (int i = 0; i < n; i++) {
      theirs[i] = scores[others[i]];
    }
    boolean[] kept = best.clone();
    for (int i : Recipe.best(theirs, Math.min(more, n))) {
      kept[others[i]] = true;
    }
    int count = 0;
    int[] places = new int[scores.length];
    for (int i = 0; i < scores.length; i++) {
      if (kept[i]) {
        places[count++] = i;
      }
    }
    return Arrays.copyOf(places, count);
  }
}
