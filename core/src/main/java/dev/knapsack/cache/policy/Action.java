package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvPolicy;
import java.util.Locale;
import java.util.Optional;

/** What happens to tokens that are not kept: the third part of a {@link Recipe}. */
public interface Action {
  /** As it is written in a recipe. */
  String name();

  /**
   * Brings a head to the tokens it keeps.
   *
   * @param kept places of tokens, ascending, none of which is in coarser formats
   */
  void apply(CachedHead head, int[] kept);

  /** Formats of what is not kept and not forgotten either. */
  default Optional<KvPolicy.Coarse> coarse() {
    return Optional.empty();
  }

  /**
   * They stay, in formats of fewer bits (as in Liu et al., arXiv 2402.02750, and Hooper et al.,
   * arXiv 2401.18079, which keep first and recent tokens in full precision).
   *
   * @param formats of keys and values
   */
  record Quantise(KvPolicy.Coarse formats) implements Action {
    @Override
    public String name() {
      String keys = formats.keys().name().toLowerCase(Locale.ROOT);
      String values = formats.values().name().toLowerCase(Locale.ROOT);
      return keys.equals(values)
          ? "quantise(" + keys + ")"
          : "quantise(k=%s,v=%s)".formatted(keys, values);
    }

    @Override
    public Optional<KvPolicy.Coarse> coarse() {
      return Optional.of(formats);
    }

    @Override
    public void apply(CachedHead head, int[] kept) {
      int[] others = new int[head.count() - head.coarse() - kept.length];
      int n = 0;
      int next = 0;
      for (int i = head.coarse(); i < head.count(); i++) {
        if (next < kept.length && kept[next] == i) {
          next++;
        } else {
          others[n++] = i;
        }
      }
      head.requantise(others);
    }
  }

  /** They are forgotten, and their pages freed. */
  Action EVICT =
      new Action() {
        @Override
        public String name() {
          return "evict";
        }

        @Override
        public void apply(CachedHead head, int[] kept) {
          head.keep(kept);
        }
      };
}
